"""Load: what wrk is told, and what it says afterwards. h2load.py is the second such module, for TLS and HTTP/2."""
import re
from dataclasses import dataclass

from . import places
from .names import PATH, PROTECTED_HOST
from .processes import Failed
from .tokens import Material

MOST_SECONDS = 15  # of one load; nothing here loads a machine for longer


@dataclass(frozen=True)
class Load:
    """Requests on kept-alive connections, as fast as the target answers unless paced.

    At most one of `requests`, `flood`, `pause_ms` alone and `upload` picks a script; with none of them every request is the same.
    """

    sends_token: bool = True  # the hot one; a script's requests bring their own
    requests: str | None = None  # a file of Material.requests, sent in order
    once: bool = False  # ends when every one of `requests` was sent
    flood: bool = False  # `requests` with a wrong signature, another one each time
    pause_ms: int | None = None  # of a connection, between its requests
    upload: int | None = None  # bytes of body
    path: str = PATH
    host: str = PROTECTED_HOST
    connections: int = 64
    threads: int = 1
    tls: bool = False  # on the target's TLS port
    http2: bool = False  # over TLS
    streams: int = 1  # at once on a connection, with http2


@dataclass(frozen=True)
class Outcome:
    """Of one load. Latencies in µs, where the generator tells them."""

    requests: int
    seconds: float
    rps: float
    other_statuses: int  # answers that are neither 2xx nor 3xx
    socket_errors: int
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


def bounded(seconds: int) -> int:
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"a load lasts from 1 to {MOST_SECONDS} s, not {seconds}")
    return seconds


def command(load: Load, port: int, seconds: int, material: Material) -> list[str]:
    size = ["-t", str(load.threads), "-c", str(load.connections), "-d", f"{bounded(seconds)}s", "--timeout", "5s", "--latency"]
    headers = ["-H", f"Host: {load.host}"]
    if load.sends_token and not load.requests:
        headers += ["-H", f"Authorization: Bearer {material.hot_token}"]
    script, arguments = _script(load, material)
    return [places.program("wrk"), *size, *headers, *script, f"http://127.0.0.1:{port}{load.path}", *arguments]


def parse(output: str, errors: str = "") -> Outcome:
    """wrk's report, as printed with --latency."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if not total or not rate:
        raise Failed(f"wrk said: {(output + errors).strip()[-400:]}")
    latency = {percent: _microseconds(value, unit) for percent, value, unit in re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m)$", output, re.M)}
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return Outcome(
        requests=int(total.group(1)),
        seconds=_microseconds(total.group(2), total.group(3)) / 1e6,
        rps=float(rate.group(1)),
        p50=latency["50"],
        p90=latency["90"],
        p99=latency["99"],
        other_statuses=int(other.group(1)) if other else 0,
        socket_errors=sum(int(count) for count in sockets.groups()) if sockets else 0,
    )


def _script(load: Load, material: Material) -> tuple[list[str], list[str]]:
    """wrk's `-s FILE`, and what comes after the URL."""
    if load.flood:
        return _with("flood", str(material.requests(load.requests)), str(load.pause_ms))
    if load.requests:
        return _with("cycle", str(material.requests(load.requests)), *(["once"] if load.once else []))
    if load.upload is not None:
        return _with("upload", str(load.upload))
    if load.pause_ms is not None:
        return _with("paced", str(load.pause_ms))
    return [], []


def _with(script: str, *arguments: str) -> tuple[list[str], list[str]]:
    return ["-s", str(places.SCRIPTS / f"{script}.lua")], ["--", *arguments]


def _microseconds(value: str, unit: str) -> float:
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}[unit]
