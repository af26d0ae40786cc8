"""Throw-away keys, certificates and Auth0-like tokens, written below the scratch directory and minted anew when old."""
import base64
import hashlib
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from .names import AUDIENCE, DOMAIN, ISSUER, KEY_ID, PATH, PROTECTED_HOST, PUBLIC_HOST, issuer_host, route_path

FEW, MANY = 2_000, 50_000
ROUTES = (1, 100, 10_000)
ISSUERS = (1, 100)
LIFETIME = 24 * 3600  # seconds from a token's iat to its exp
MAX_AGE = 16 * 3600  # seconds after which tokens are minted anew
_CHUNK = 1_000  # tokens that one process signs at a time


@dataclass(frozen=True)
class Material:
    """The directory of keys and tokens; every property is a file in it."""

    directory: Path

    def file(self, name: str) -> Path:
        return self.directory / name

    @property
    def jwks(self) -> bytes:
        return self.file("jwks.json").read_bytes()

    @property
    def ca(self) -> str:
        return self.file("ca.crt").read_text()

    @property
    def hot_token(self) -> str:
        return self.file("hot").read_text()

    def requests(self, name: str) -> Path:
        """A file of requests for wrk's scripts, "PATH TOKEN" or "PATH TOKEN HOST" a line: few, many, routes-N, issuers-N."""
        return self.file(f"{name}.requests")

    def signing_key(self) -> rsa.RSAPrivateKey:
        return serialization.load_pem_private_key(self.file("signing.key").read_bytes(), None)

    def public_key_pem(self) -> bytes:
        return self.file("signing.pub").read_bytes()


def material(directory: Path, now: float) -> Material:
    """What is there, if it is young enough; else all of it anew."""
    found = Material(directory)
    try:
        minted = json.loads(found.file("minted.json").read_text())["at"]
    except (OSError, ValueError, KeyError):
        minted = 0
    if now - minted > MAX_AGE or not found.file("server.crt").exists():
        _write_all(found, int(now))
    return found


def claims(user: int, now: int, **changes) -> dict:
    """An Auth0 access token's claims; `None` removes one."""
    usual = {
        "iss": ISSUER,
        "sub": "auth0|" + hashlib.sha256(b"user%d" % user).hexdigest()[:24],
        "aud": [AUDIENCE, ISSUER + "userinfo"],
        "iat": now,
        "exp": now + LIFETIME,
        "azp": "kYb3W1fT9uQ2sLxP0aZcV7mN4rD6hE8j",
        "scope": "openid profile email offline_access",
        "permissions": ["read:orders", "write:orders", "read:items"],
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def sign(key: rsa.RSAPrivateKey, payload: dict | bytes, header: dict | None = None) -> str:
    """An RS256 token. A payload of bytes is signed as it is."""
    head = header or {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    signed = f"{base64url(compact(head))}.{base64url(payload if isinstance(payload, bytes) else compact(payload))}"
    return f"{signed}.{base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _write_all(to: Material, now: int) -> None:
    os.umask(0o077)
    to.directory.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, 2048)
    _write_key(to, "signing", key)
    to.file("jwks.json").write_bytes(compact({"keys": [_jwk(key)]}))
    _write_certificates(to)
    _write_tokens(to, key, now - 5)
    to.file("minted.json").write_bytes(compact({"at": now}))


def _write_key(to: Material, name: str, key: rsa.RSAPrivateKey) -> None:
    to.file(f"{name}.key").write_bytes(_private_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    to.file(f"{name}.pub").write_bytes(public)


def _private_pem(key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _jwk(key: rsa.RSAPrivateKey) -> dict:
    numbers = key.public_key().public_numbers()
    modulus, exponent = base64url(numbers.n.to_bytes(256, "big")), base64url(numbers.e.to_bytes(3, "big"))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": modulus, "e": exponent}


def _write_tokens(to: Material, key: rsa.RSAPrivateKey, now: int) -> None:
    hot = sign(key, claims(0, now))
    to.file("hot").write_text(hot)
    pem = _private_pem(key)
    _write_requests(to, "few", ((PATH, token) for token in _mint(pem, 1, FEW, now)))
    _write_requests(to, "many", ((PATH, token) for token in _mint(pem, 10_000_000, MANY, now)))
    for count in ROUTES:
        _write_requests(to, f"routes-{count}", ((route_path(index), hot) for index in range(count)))
    for count in ISSUERS:
        _write_requests(to, f"issuers-{count}", ((PATH, hot, issuer_host(index)) for index in range(count)))


def _write_requests(to: Material, name: str, requests) -> None:
    to.requests(name).write_text("".join(" ".join(request) + "\n" for request in requests))


def _mint(pem: bytes, first_user: int, count: int, now: int) -> list[str]:
    """Tokens of as many users, signed on two cores."""
    chunks = [(pem, first, min(first + _CHUNK, first_user + count), now) for first in range(first_user, first_user + count, _CHUNK)]
    with ProcessPoolExecutor(2) as pool:
        return [token for chunk in pool.map(_mint_chunk, chunks) for token in chunk]


def _mint_chunk(chunk: tuple[bytes, int, int, int]) -> list[str]:
    pem, first, end, now = chunk
    key = serialization.load_pem_private_key(pem, None)
    return [sign(key, claims(user, now)) for user in range(first, end)]


def _write_certificates(to: Material) -> None:
    """An authority, and by it the issuer's certificate and the targets' own."""
    authority = rsa.generate_private_key(65537, 2048)
    name = _name("bench authority")
    root = _certificate(name, name, authority, authority, [])
    to.file("ca.crt").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    _write_certificate(to, "issuer", rsa.generate_private_key(65537, 2048), authority, [DOMAIN, "localhost"])
    _write_certificate(to, "server", ec.generate_private_key(ec.SECP256R1()), authority, [PROTECTED_HOST, PUBLIC_HOST])


def _write_certificate(to: Material, name: str, key, authority: rsa.RSAPrivateKey, hosts: list[str]) -> None:
    certificate = _certificate(_name(hosts[0]), _name("bench authority"), key, authority, hosts)
    to.file(f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    to.file(f"{name}.key").write_bytes(_private_pem(key))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(subject: x509.Name, issuer: x509.Name, key, signer: rsa.RSAPrivateKey, hosts: list[str]) -> x509.Certificate:
    """Without hosts it is an authority's."""
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(not hosts, None), critical=True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
    return builder.sign(signer, hashes.SHA256())
