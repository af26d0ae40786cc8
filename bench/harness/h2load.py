"""The second load generator, for TLS and HTTP/2: what h2load is told, and what it says afterwards."""
import re

from . import places
from .load import Load, Outcome, bounded
from .processes import Failed
from .tokens import Material

_FAILURES = re.compile(r"requests: .* (\d+) errored, (\d+) timeout")


def command(load: Load, port: int, seconds: int, material: Material) -> list[str]:
    """The name in the URL is the one in SNI; the connection goes to the target. It trusts any certificate."""
    size = ["-t", str(load.threads), "-c", str(load.connections), "-m", str(load.streams), "-D", str(bounded(seconds))]
    version = [] if load.http2 else ["--h1"]
    token = ["-H", f"authorization: Bearer {material.hot_token}"] if load.sends_token else []
    target = [f"--connect-to=127.0.0.1:{port}", f"https://{load.host}{load.path}"]
    return [places.program("h2load"), *size, *version, *token, *target]


def parse(output: str, errors: str = "") -> Outcome:
    """h2load's report. It has no percentiles."""
    finished = re.search(r"finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s", output)
    done = re.search(r"requests: \d+ total, \d+ started, (\d+) done", output)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx", output)
    if not finished or not done or not statuses:
        raise Failed(f"h2load said: {(output + errors).strip()[-400:]}")
    good = sum(int(count) for count in statuses.groups())
    answered = int(done.group(1))
    return Outcome(
        requests=answered,
        seconds=float(finished.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[finished.group(2)],
        rps=float(finished.group(3)),
        other_statuses=max(answered - good, 0),
        socket_errors=sum(int(count) for count in _failures(output)),
    )


def _failures(output: str) -> tuple[str, ...]:
    """What got no answer. Requests under way when the time is up are none: h2load counts them as started only."""
    found = _FAILURES.search(output)
    return found.groups() if found else ()
