"""One measured load on a stage: throughput, latency, CPU and memory, and whether it can be trusted."""
import os
from dataclasses import asdict, dataclass

from . import generator, machine
from .arena import Stage
from .http1 import Answer, ask
from .load import Load, Outcome
from .names import BODY

_OTHERS_LIMIT = 0.15  # cores' worth of other processes during a measurement that make it noise
_STOLEN_LIMIT = 0.05  # share of a core that the hypervisor took
FLOOD_LEAD = 1  # seconds by which a flood outlasts the valid traffic beside it


@dataclass(frozen=True)
class Patience:
    """How long to load, and how quiet the machine must be before."""

    seconds: int
    warm_up: int = 1
    quiet: float = 0.10
    wait: float = 60
    idle_connections: int = 20_000


@dataclass(frozen=True)
class Expected:
    """What every answer of a load must be."""

    status: int
    body_bytes: int | None = None  # None: the upstream's usual body, or any for a refusal

    def mismatch(self, answer: Answer) -> str | None:
        if answer.status != self.status:
            return f"a single request got {answer.status}, not {self.status}"
        if self.status == 200 and not self._has_body(answer.body):
            return f"a single request got another body, of {len(answer.body)} bytes"
        return None

    def _has_body(self, body: bytes) -> bool:
        return body == BODY if self.body_bytes is None else len(body) == self.body_bytes

    def errors(self, outcome: Outcome) -> list[str]:
        wrong = outcome.other_statuses if self.status == 200 else outcome.requests - outcome.other_statuses
        found = [f"{wrong} answers of {outcome.requests} were not {self.status}"] if wrong else []
        return found + ([f"{outcome.socket_errors} socket errors"] if outcome.socket_errors else [])


def probe(stage: Stage, load: Load, expected: Expected) -> list[str]:
    """One request as the load sends it, looked at closely."""
    token = stage.material.hot_token if load.sends_token else None
    body = None if load.upload is None else b"x" * load.upload
    path = load.path
    if load.requests:
        path, token = stage.material.requests(load.requests).open().readline().split()
    answer = ask(stage.tls_port if load.tls else stage.port, token, path, load.host, body, tls=load.tls)
    mismatch = expected.mismatch(answer)
    return [mismatch] if mismatch else []


def warm_up(stage: Stage, load: Load, patience: Patience) -> None:
    if patience.warm_up:
        generator.start(load, stage, patience.warm_up).finish()


def measure(stage: Stage, load: Load, seconds: int, patience: Patience, expected: Expected, flood: Load | None = None) -> dict:
    """The sample: everything that is known about this load. With a flood, that runs beside it."""
    quiet = machine.wait_until_quiet(patience.quiet, patience.wait)
    before = _Reading.of(stage)
    beside = generator.start(flood, stage, seconds + FLOOD_LEAD) if flood else None
    outcome = generator.start(load, stage, seconds).finish()
    flooded = beside.finish() if beside else None
    spent = _Reading.of(stage).since(before)
    errors = expected.errors(outcome)
    told = {name: value for name, value in asdict(outcome).items() if value is not None}
    sample = {**told, **spent.per_request(outcome, flooded), **_noise(quiet, spent)}
    if flooded:
        refused = Expected(401 if stage.target.checks_tokens else 200)
        errors += [f"flood: {error}" for error in refused.errors(flooded)]
        sample |= {"flood_rps": flooded.rps, "flood_requests": flooded.requests}
    return {**sample, "errors": errors}


@dataclass(frozen=True)
class _Reading:
    """CPU seconds of everybody, at one moment or between two."""

    target: machine.Usage
    upstream: machine.Usage
    client: float  # of the generators' processes that have ended
    clock: machine.Clock

    @classmethod
    def of(cls, stage: Stage) -> "_Reading":
        times = os.times()
        return cls(stage.usage(), stage.upstream_usage(), times.children_user + times.children_system, machine.clock())

    def since(self, before: "_Reading") -> "_Spent":
        busy = (self.clock.total - before.clock.total) - (self.clock.idle - before.clock.idle)
        return _Spent(
            user=self.target.user - before.target.user,
            system=self.target.system - before.target.system,
            upstream=self.upstream.cpu - before.upstream.cpu,
            client=self.client - before.client,
            stolen=self.clock.stolen - before.clock.stolen,
            busy=busy,
            wall=(self.clock.total - before.clock.total) / (os.cpu_count() or 1),
            rss=self.target.rss,
            pss=self.target.pss,
        )


@dataclass(frozen=True)
class _Spent:
    user: float
    system: float
    upstream: float
    client: float
    stolen: float
    busy: float
    wall: float
    rss: int
    pss: int

    def per_request(self, outcome: Outcome, flooded: Outcome | None) -> dict:
        """CPU in µs over all requests (a flood's too), shares of a core, bytes."""
        requests = max(outcome.requests + (flooded.requests if flooded else 0), 1)
        micro = 1e6 / requests
        return {
            "cpu_us": (self.user + self.system) * micro,
            "user_us": self.user * micro,
            "system_us": self.system * micro,
            "target_busy": (self.user + self.system) / outcome.seconds,
            "client_busy": (self.client + self.upstream) / outcome.seconds,
            "rss": self.rss,
            "pss": self.pss,
        }

    @property
    def others(self) -> float:
        """CPU seconds of processes that have nothing to do with this, per second."""
        ours = self.user + self.system + self.upstream + self.client + self.stolen
        return max(self.busy - ours, 0) / max(self.wall, 1e-9)


def _noise(quiet: machine.Quiet, spent: _Spent) -> dict:
    stolen = spent.stolen / max(spent.wall, 1e-9)
    noisy = not quiet.reached or spent.others > _OTHERS_LIMIT or stolen > _STOLEN_LIMIT
    return {"busy_before": quiet.busy, "others": spent.others, "stolen": stolen, "noisy": noisy}
