"""The peers: how each is configured and started. Adding one is a line in PEERS and a file in configs/."""
import json
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import names, places
from .tokens import Material

# What a target can do beyond plain HTTP/1.1. A scenario runs on the targets that offer all it needs.
PUBLIC = "public"  # a host on which no token is wanted
TOKENS = "tokens"  # a host on which every request needs a valid token
ROUTES = "routes"  # as many routes as the setting says
BODIES = "bodies"  # any path and method
TRAFFIC = "traffic"  # requests through another process
TLS = "tls"  # HTTP/1.1 and HTTP/2 over TLS, on a port of its own
ISSUERS = "issuers"  # as many issuers as the setting says, each with a host of its own

# More than are ever opened: nginx closes idle connections when its table is nearly full, whatever the limit on open files.
_CONNECTIONS = 32_768


@dataclass(frozen=True)
class Setting:
    """Where one start of a target finds everything."""

    port: int
    admin_port: int
    inspect_port: int
    tls_port: int
    upstream_port: int
    keys_http_port: int
    keys_https_port: int
    workers: int
    routes: int
    issuers: int
    material: Material
    directory: Path

    @property
    def upstream(self) -> str:
        return f"127.0.0.1:{self.upstream_port}"


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    name: str
    program: str  # as `places.program` finds it
    offers: frozenset[str]
    only: frozenset[str] | None = None  # scenarios; None: all that it offers enough for
    strict: bool = False  # every functional case is required, not only those that no gate may miss
    drains_output: bool = False  # its standard output is read by another process and thrown away
    environment: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""  # for the report

    @property
    def checks_tokens(self) -> bool:
        return TOKENS in self.offers

    @abstractmethod
    def command(self, setting: Setting) -> list[str]:
        """Writes what the target reads, and returns how to start it. It stays in the foreground and ends on SIGTERM."""

    def version(self) -> str:
        """The first line with a number that the program says of itself."""
        for flag in ("--version", "-v", "version"):
            run = subprocess.run([places.program(self.program), flag], capture_output=True, text=True, timeout=20)
            found = re.search(r"^.*\d+\.\d+.*$", run.stdout + run.stderr, re.M)
            if run.returncode == 0 and found:
                return found.group(0).strip()
        return "unknown"


@dataclass(frozen=True, kw_only=True)
class Direct(Target):
    """No target at all: the load goes to the upstream, which runs on the target's core. The ceiling."""

    def command(self, setting: Setting) -> list[str]:
        raise NotImplementedError("there is no process between load and upstream")

    def version(self) -> str:
        return "bench/upstream"


@dataclass(frozen=True, kw_only=True)
class Peer(Target):
    """A program with configuration files of ours. In these `@NAME@` is replaced, in the arguments `{name}`."""

    files: tuple[str, ...]  # the first is `{conf}`
    arguments: str
    values: Mapping[str, str] = field(default_factory=dict)

    def command(self, setting: Setting) -> list[str]:
        values = {**_values(setting), **self.values}
        for name in self.files:
            _render(places.CONFIGS / name, setting.directory / name, values)
        values["conf"] = str(setting.directory / self.files[0])
        return [places.program(self.program), *(word.format_map(values) for word in self.arguments.split())]


def _values(setting: Setting) -> dict[str, str]:
    material = setting.material
    return {
        "port": str(setting.port),
        "tls_port": str(setting.tls_port),
        "certificate": str(material.file("server.crt")),
        "certificate_key": str(material.file("server.key")),
        "upstream": setting.upstream,
        "upstream_host": "127.0.0.1",
        "upstream_port": str(setting.upstream_port),
        "workers": str(setting.workers),
        "directory": str(setting.directory),
        "connections": str(_CONNECTIONS),
        "issuer": names.ISSUER,
        "audience": names.AUDIENCE,
        "key_id": names.KEY_ID,
        "public_key_file": str(material.file("signing.pub")),
        "jwks_inline": material.jwks.decode(),
        "jwks_url": f"http://127.0.0.1:{setting.keys_http_port}/.well-known/jwks.json",
        "routes": _nginx_routes(setting.routes),
        "token_cache": "",
    }


def _nginx_routes(count: int) -> str:
    return "\n".join(f"    location {names.route_prefix(index)} {{ proxy_pass http://up; }}" for index in range(count))


def _render(template: Path, to: Path, values: Mapping[str, str]) -> None:
    text = re.sub(r"@([A-Z_]+)@", lambda found: values[found.group(1).lower()], template.read_text())
    if to.suffix == ".json":
        json.loads(text)
    to.write_text(text)


_PLAIN = frozenset({PUBLIC, BODIES, TRAFFIC})
_GATE = frozenset({TOKENS, BODIES, TRAFFIC})
_CEILINGS = frozenset({"plain", "one-connection", "download-100k", "download-10m", "upload-100k", "upload-10m"})
_PLAIN_SCENARIOS = frozenset({"plain", "one-connection"})
_ONE_PATH_SCENARIOS = frozenset({"tokens-hot", "tokens-2000", "tokens-50000", "one-connection", "two-workers", "no-token", "flood"})
_GO = {"GOMAXPROCS": "{workers}"}


def _plain(name: str, program: str, files: tuple[str, ...], arguments: str, **more) -> Peer:
    """A peer that checks nothing."""
    return Peer(name=name, program=program, offers=_PLAIN, only=_PLAIN_SCENARIOS, files=files, arguments=arguments, **more)


def _envoy(name: str, remark: str, **values: str) -> Peer:
    """Envoy with its token check."""
    return Peer(name=name, program="envoy", offers=_GATE, files=("envoy-jwt.yaml",), arguments=_ENVOY, values=values, remark=remark)


_ENVOY = "-c {conf} --concurrency {workers} --disable-hot-restart -l error"
_HAPROXY = "-db -f {conf}"
_TRAEFIK = "--configFile={conf}"
_CADDY = "run --adapter caddyfile --config {conf}"
_KRAKEND = "run -c {conf}"
_KRAKEND_ENVIRONMENT = {**_GO, "USAGE_DISABLE": "1", "GIN_MODE": "release"}

REFERENCE = Peer(
    name="nginx",
    program="nginx",
    offers=_PLAIN | {ROUTES, TLS, ISSUERS},
    files=("nginx.conf",),
    arguments="-c {conf} -p {directory}",
    remark="checks no token: the reference of every ratio",
)

PEERS: tuple[Target, ...] = (
    Direct(name="direct", program="bench-upstream", offers=_PLAIN, only=_CEILINGS, remark="no proxy: the ceiling of load and upstream"),
    REFERENCE,
    _plain("haproxy", "haproxy", ("haproxy.cfg",), _HAPROXY),
    Peer(
        name="haproxy-jwt",
        program="haproxy",
        offers=_GATE,
        files=("haproxy-jwt.cfg",),
        arguments=_HAPROXY,
        remark="one PEM key instead of a JWKS; every token is verified anew",
    ),
    _plain("envoy", "envoy", ("envoy.yaml",), _ENVOY),
    _envoy("envoy-jwt", "every token is verified anew", token_cache="# no jwt_cache_config"),
    _envoy("envoy-jwt-cache", "with its token cache, for 100,000", token_cache="jwt_cache_config: { jwt_cache_size: 100000 }"),
    _plain("traefik", "traefik", ("traefik.yaml", "traefik-dyn.yaml"), _TRAEFIK, environment=_GO),
    _plain("traefik-fast", "traefik", ("traefik-fast.yaml", "traefik-dyn.yaml"), _TRAEFIK, environment=_GO, remark="with its fast proxy"),
    _plain("caddy", "caddy", ("caddy.Caddyfile",), _CADDY, environment={**_GO, "HOME": "{directory}"}),
    _plain("krakend", "krakend", ("krakend.json",), _KRAKEND, environment=_KRAKEND_ENVIRONMENT),
    Peer(
        name="krakend-jwt",
        program="krakend",
        offers=frozenset({TOKENS, TRAFFIC}),
        only=_ONE_PATH_SCENARIOS,
        files=("krakend-jwt.json",),
        arguments=_KRAKEND,
        environment=_KRAKEND_ENVIRONMENT,
    ),
)
