"""Portcullis as a target: its manifests, and its command line."""
import json
from dataclasses import dataclass
from pathlib import Path

from . import names, places
from .issuer import JWKS_PATH
from .targets import BODIES, PUBLIC, ROUTES, TOKENS, TRAFFIC, Setting, Target

_SERVICE = "upstream"
_RULES_OF_A_RESOURCE = 100
_ALL = frozenset({PUBLIC, TOKENS, ROUTES, BODIES, TRAFFIC})


@dataclass(frozen=True, kw_only=True)
class Portcullis(Target):
    """`portcullis serve` over a directory of manifests like a user's; keys come from the issuer over https."""

    log_filter: str = "info,access=off"
    offers: frozenset[str] = _ALL
    strict: bool = True

    def command(self, setting: Setting) -> list[str]:
        manifests = setting.directory / "manifests"
        write_manifests(manifests, setting)
        addresses = {"--http": setting.port, "--admin": setting.admin_port, "--inspect": setting.inspect_port}
        listeners = [word for flag, port in addresses.items() for word in (flag, f"127.0.0.1:{port}")]
        keys = f"{names.DOMAIN}:443:127.0.0.1:{setting.keys_https_port}"
        options = ["--workers", str(setting.workers), "--connect-to", keys, "--log-filter", self.log_filter]
        return [places.program(self.program), "serve", str(manifests), *listeners, *options]


OURS = (
    Portcullis(name="portcullis", program="portcullis", remark="access log off, as the peers have it"),
    Portcullis(
        name="portcullis-log",
        program="portcullis",
        log_filter="info",
        drains_output=True,
        only=frozenset({"plain", "tokens-hot", "no-token", "flood"}),
        remark="access log on: a JSON line per request, through a pipe",
    ),
)


def write_manifests(to: Path, setting: Setting) -> None:
    """One file a kind; the directory is served as a whole."""
    to.mkdir(parents=True, exist_ok=True)
    for old in to.iterdir():
        old.unlink()
    documents = {"endpoints": _endpoints(setting), "backend": [_service(), _slice(setting.upstream_port)]}
    for name, items in documents.items():
        (to / f"{name}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _endpoints(setting: Setting) -> list[dict]:
    """Everything under two hosts, and as many routes as the setting asks for."""
    protected = _endpoint("protected", names.PROTECTED_HOST, [{"path": "/"}], setting)
    public = _endpoint("public", names.PUBLIC_HOST, [{"path": "/", "access": "Public"}], setting)
    rules = [{"path": names.route_prefix(index)} for index in range(setting.routes)]
    parts = [rules[at : at + _RULES_OF_A_RESOURCE] for at in range(0, len(rules), _RULES_OF_A_RESOURCE)]
    return [protected, public, *(_endpoint(f"routes-{n}", names.PROTECTED_HOST, part, setting) for n, part in enumerate(parts))]


def _endpoint(name: str, host: str, rules: list[dict], setting: Setting) -> dict:
    """No leeway, because the functional cases hold tokens past their expiry and the peers have none."""
    auth0 = {
        "domain": names.DOMAIN,
        "audience": [names.AUDIENCE],
        "alg": "RS256",
        "issuer": names.ISSUER,
        "jwksUrl": f"https://{names.DOMAIN}{JWKS_PATH}",
        "caBundle": setting.material.ca,
        "leeway": "0s",
    }
    spec = {"hosts": [host], "auth0": auth0, "backend": {"service": _SERVICE, "port": 80}, "rules": rules}
    return {"apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": {"name": name}, "spec": spec}


def _service() -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": _SERVICE}, "spec": {"ports": [{"port": 80}]}}


def _slice(port: int) -> dict:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{_SERVICE}-1", "labels": {"kubernetes.io/service-name": _SERVICE}},
        "addressType": "IPv4",
        "ports": [{"port": port}],
        "endpoints": [{"addresses": ["127.0.0.1"]}],
    }
