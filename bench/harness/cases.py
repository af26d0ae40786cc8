"""What a target must let through and refuse: the functional cases. Nothing is measured before they were asked."""
import base64
import hmac
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric import rsa

from .names import AUDIENCE, ISSUER, KEY_ID
from .tokens import Material, base64url, claims, compact, sign


class Expect(Enum):
    PASS = "pass"
    REFUSE = "refuse"
    EITHER = "either"
    PASS_UNTIL_EXPIRY = "pass until expiry"  # asked twice: at once, and `HELD_FOR` seconds later


HELD_FOR = 5.2  # seconds between the two questions of PASS_UNTIL_EXPIRY
_HELD_LIFETIME = 3  # seconds that its token has left when it is made


@dataclass(frozen=True)
class Case:
    name: str
    token: str | None
    expect: Expect
    required: bool = False  # of peers too; of Portcullis every case is


def cases(material: Material, now: float) -> list[Case]:
    """Made anew each time, because some are about the time."""
    issued = int(now) - 1
    make = _Maker(material.signing_key(), issued)
    return [*_plain_cases(make), *_claim_cases(make), *_signature_cases(make, material), *_time_cases(make, int(now))]


@dataclass(frozen=True)
class _Maker:
    """Signs the usual claims with changes."""

    key: rsa.RSAPrivateKey
    issued: int

    def token(self, header: dict | None = None, **changes) -> str:
        return sign(self.key, claims(0, self.issued, **changes), header)


def _plain_cases(make: _Maker) -> list[Case]:
    return [
        Case("good", make.token(), Expect.PASS, required=True),
        Case("no token", None, Expect.REFUSE, required=True),
        Case("garbage", "abc.def.ghi", Expect.REFUSE, required=True),
        Case("payload not JSON", sign(make.key, b"not json"), Expect.REFUSE),
    ]


def _claim_cases(make: _Maker) -> list[Case]:
    others = ["https://a/", "https://b/", "https://c/"]
    return [
        Case("wrong aud", make.token(aud=["https://other.example.com/", ISSUER + "userinfo"]), Expect.REFUSE, required=True),
        Case("no aud", make.token(aud=None), Expect.REFUSE),
        Case("aud last of 4", make.token(aud=[*others, AUDIENCE]), Expect.PASS),
        Case("aud as string", make.token(aud=AUDIENCE), Expect.PASS),
        Case("aud with suffix", make.token(aud=[AUDIENCE + "-admin"]), Expect.REFUSE),
        Case("wrong iss", make.token(iss="https://evil.example.com/"), Expect.REFUSE, required=True),
    ]


def _time_cases(make: _Maker, now: int) -> list[Case]:
    return [
        Case("expired 1 h", make.token(iat=now - 7200, exp=now - 3600), Expect.REFUSE, required=True),
        Case("expired 30 s", make.token(iat=now - 7200, exp=now - 30), Expect.REFUSE),
        Case("no exp", make.token(exp=None), Expect.REFUSE),
        Case("nbf in 1 h", make.token(nbf=now + 3600), Expect.REFUSE),
        Case("held past exp", make.token(exp=now + _HELD_LIFETIME), Expect.PASS_UNTIL_EXPIRY),
    ]


def _signature_cases(make: _Maker, material: Material) -> list[Case]:
    usual = {"alg": "RS256", "typ": "JWT"}
    good = make.token()
    payload = good.split(".")[1]
    stranger = rsa.generate_private_key(65537, 2048)
    return [
        Case("bad signature", _with_a_flipped_bit(good), Expect.REFUSE, required=True),
        Case("other key", sign(stranger, claims(0, make.issued)), Expect.REFUSE, required=True),
        Case("alg none", f"{base64url(compact({'alg': 'none', 'typ': 'JWT'}))}.{payload}.", Expect.REFUSE, required=True),
        Case("HS256 with the public key", _hmac_with(material.public_key_pem(), payload), Expect.REFUSE, required=True),
        Case("unknown kid", make.token({**usual, "kid": "nobody"}), Expect.REFUSE),
        Case("no kid", make.token(usual), Expect.EITHER),
        Case("unknown crit", make.token({**usual, "kid": KEY_ID, "crit": ["x"], "x": 1}), Expect.REFUSE),
    ]


def _with_a_flipped_bit(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[100] ^= 1
    return f"{signed}.{base64url(bytes(raw))}"


def _hmac_with(secret: bytes, payload: str) -> str:
    signed = f"{base64url(compact({'alg': 'HS256', 'typ': 'JWT', 'kid': KEY_ID}))}.{payload}"
    return f"{signed}.{base64url(hmac.new(secret, signed.encode(), 'sha256').digest())}"
