"""Where things are: the repository, what `setup` built, scratch, and every program by name."""
import os
import platform
import shutil
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
CONFIGS = BENCH / "configs"
SCRIPTS = BENCH / "wrk"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portcullis-bench"
PROGRAMS = CACHE / "bin"

# Keys, tokens, rendered configurations, logs: nothing here outlives its use.
SCRATCH = Path(os.environ.get("BENCH_WORK") or Path(tempfile.gettempdir()) / "portcullis-bench")

# Debian puts daemons there, which is not on every user's PATH.
_SYSTEM = ("/usr/sbin", "/sbin")


class Missing(Exception):
    """A program is nowhere: the message says how to get it or name it."""


def program(name: str) -> str:
    """The path of a program: its variable (NAME in capitals), what setup built, PATH, the system's directories."""
    named = os.environ.get(_variable(name))
    if named:
        return str(Path(shutil.which(named) or named).resolve())
    found = _portcullis() if name == "portcullis" else _search(name)
    if not found:
        how = "make build" if name == "portcullis" else "bench/bench setup"
        raise Missing(f"no {name}: {how}, or {_variable(name)}=/path/to/{name}")
    return found


def has(name: str) -> bool:
    """Whether `program(name)` would find it, and it can be run."""
    try:
        return os.access(program(name), os.X_OK)
    except Missing:
        return False


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _search(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", ""), *_SYSTEM]))


def _portcullis() -> str | None:
    """The release binary of `make build`, else that of `cargo build --release`. Never a debug binary."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target")
    static = target / f"{platform.machine()}-unknown-linux-gnu" / "release" / "portcullis"
    return next((str(path) for path in (static, target / "release" / "portcullis") if path.exists()), None)
