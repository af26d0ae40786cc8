"""Portcullis as a target: its manifests, and its command line."""
import json
from dataclasses import dataclass
from pathlib import Path

from . import names, places
from .issuer import JWKS_PATH
from .targets import BODIES, ISSUERS, PUBLIC, ROUTES, TLS, TOKENS, TRAFFIC, Setting, Target

_NAMESPACE = "bench"
_SERVICE = "upstream"
_CERTIFICATE = "certificate"
_RULES_OF_A_RESOURCE = 100
_ISSUERS_OF_A_NAMESPACE = 25
_ALL = frozenset({PUBLIC, TOKENS, ROUTES, BODIES, TRAFFIC, TLS, ISSUERS})


@dataclass(frozen=True, kw_only=True)
class Portcullis(Target):
    """`portcullis serve` over a directory of manifests like a user's; keys come from the issuer over https."""

    log_filter: str = "info,access=off"
    offers: frozenset[str] = _ALL
    strict: bool = True

    def command(self, setting: Setting) -> list[str]:
        manifests = setting.directory / "manifests"
        write_manifests(manifests, setting)
        ports = {"--http": setting.port, "--https": setting.tls_port, "--admin": setting.admin_port, "--inspect": setting.inspect_port}
        listeners = [word for flag, port in ports.items() for word in (flag, f"127.0.0.1:{port}")]
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
    endpoints = [*_endpoints(setting), *_issuers(setting)]
    namespaces = sorted({endpoint["metadata"]["namespace"] for endpoint in endpoints})
    backends = [item for namespace in namespaces for item in _backend(namespace, setting)]
    documents = {"endpoints": endpoints, "backends": backends, "certificate": [_certificate(setting)]}
    for name, items in documents.items():
        (to / f"{name}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _endpoints(setting: Setting) -> list[dict]:
    """Everything under two hosts, and as many routes as the setting asks for."""
    protected = _endpoint("protected", names.PROTECTED_HOST, [{"path": "/"}], setting)
    protected["spec"]["tls"] = {"secretRef": {"name": _CERTIFICATE}, "redirect": "Never"}
    public = _endpoint("public", names.PUBLIC_HOST, [{"path": "/", "access": "Public"}], setting)
    rules = [{"path": names.route_prefix(index)} for index in range(setting.routes)]
    parts = [rules[at : at + _RULES_OF_A_RESOURCE] for at in range(0, len(rules), _RULES_OF_A_RESOURCE)]
    return [protected, public, *(_endpoint(f"routes-{n}", names.PROTECTED_HOST, part, setting) for n, part in enumerate(parts))]


def _issuers(setting: Setting) -> list[dict]:
    """Hosts whose keys have URLs of their own; the keys are the same. A namespace may have only so many issuers."""
    found = []
    for index in range(setting.issuers):
        endpoint = _endpoint(f"issuer-{index}", names.issuer_host(index), [{"path": "/"}], setting)
        endpoint["metadata"]["namespace"] = f"issuers-{index // _ISSUERS_OF_A_NAMESPACE}"
        endpoint["spec"]["auth0"]["jwksUrl"] += f"?issuer={index}"
        found.append(endpoint)
    return found


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
    return {"apiVersion": "portcullis.dev/v1alpha1", "kind": "ProtectedEndpoint", "metadata": _metadata(name), "spec": spec}


def _metadata(name: str, namespace: str = _NAMESPACE) -> dict:
    return {"name": name, "namespace": namespace}


def _certificate(setting: Setting) -> dict:
    files = {"tls.crt": "server.crt", "tls.key": "server.key"}
    data = {key: setting.material.file(name).read_text() for key, name in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": _metadata(_CERTIFICATE), "stringData": data}


def _backend(namespace: str, setting: Setting) -> list[dict]:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(_SERVICE, namespace), "spec": {"ports": [{"port": 80}]}}
    labels = {"kubernetes.io/service-name": _SERVICE}
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**_metadata(f"{_SERVICE}-1", namespace), "labels": labels},
        "addressType": "IPv4",
        "ports": [{"port": setting.upstream_port}],
        "endpoints": [{"addresses": ["127.0.0.1"]}],
    }
    return [service, endpoints]
