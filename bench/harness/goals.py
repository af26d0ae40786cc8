"""The performance targets of the project, and the judgement of a run by them.

A goal is met when the whole 95 % interval is on its good side, missed when the whole interval is on the other, and open in between.
Nothing is judged by fewer than `ROUNDS` rounds. CPU decides where both are known: requests a second end where wrk and the upstream do.
"""
from dataclasses import dataclass

from .statistics import Estimate, Table, estimate, quotient

ROUNDS = 9
OURS = "portcullis"
_PEER = "nginx"


@dataclass(frozen=True)
class Judged:
    text: str
    wanted: str
    measured: Estimate | None
    beside: Estimate | None  # the same by requests a second
    verdict: str


@dataclass(frozen=True)
class Faster:
    """Work per CPU second is at least `factor` times that of another target."""

    text: str
    scenario: str
    factor: float
    peer: str = _PEER
    step: str = ""

    def judge(self, table: Table) -> Judged:
        by_cpu = table.ratio(self.scenario, self.step, self.peer, OURS, "cpu_us")
        by_rate = table.ratio(self.scenario, self.step, OURS, self.peer, "rps")
        return Judged(self.text, f"≥ {self.factor:g} × {self.peer}", by_cpu, by_rate, verdict(by_cpu, at_least=self.factor))


@dataclass(frozen=True)
class AtMost:
    """A figure of our own, divided by `unit`."""

    text: str
    scenario: str
    metric: str
    bound: float
    unit: float
    unit_name: str
    step: str = ""

    def judge(self, table: Table) -> Judged:
        values = table.values(self.scenario, self.step, OURS, self.metric)
        measured = estimate([value / self.unit for value in values.values()])
        return Judged(self.text, f"≤ {self.bound:g} {self.unit_name}", measured, None, verdict(measured, at_most=self.bound))


@dataclass(frozen=True)
class AddedLatency:
    """What a proxy adds to the upstream alone is at most what the peer adds."""

    text: str
    metric: str
    scenario: str = "one-connection"

    def judge(self, table: Table) -> Judged:
        ours, theirs = (self._added(table, target) for target in (OURS, _PEER))
        measured = quotient(ours, theirs)
        return Judged(self.text, f"≤ 1 × {_PEER}'s", measured, None, verdict(measured, at_most=1))

    def _added(self, table: Table, target: str) -> dict[int, float]:
        alone = table.values(self.scenario, "", "direct", self.metric)
        through = table.values(self.scenario, "", target, self.metric)
        return {number: through[number] - alone[number] for number in through if number in alone}


@dataclass(frozen=True)
class Unmoved:
    """A step's figure is at most `factor` times that of another step of the same scenario."""

    text: str
    scenario: str
    metric: str
    step: str
    base: str
    factor: float

    def judge(self, table: Table) -> Judged:
        step, base = (table.values(self.scenario, name, OURS, self.metric) for name in (self.step, self.base))
        measured = quotient(step, base)
        return Judged(self.text, f"≤ {self.factor:g} × alone", measured, None, verdict(measured, at_most=self.factor))


GOALS = (
    Faster("hot token", "tokens-hot", 1.0),
    Faster("hot token", "tokens-hot", 3.3, "haproxy-jwt"),
    Faster("hot token", "tokens-hot", 2.8, "envoy-jwt-cache"),
    Faster("hot token", "tokens-hot", 15, "krakend-jwt"),
    Faster("2,000 tokens", "tokens-2000", 1.0),
    Faster("50,000 tokens, never seen", "tokens-50000", 0.60, step="first pass"),
    Faster("50,000 tokens, never seen", "tokens-50000", 1.8, "haproxy-jwt", step="first pass"),
    Faster("50,000 tokens, never seen", "tokens-50000", 3.9, "envoy-jwt", step="first pass"),
    Faster("50,000 tokens, second pass", "tokens-50000", 1.0, step="second pass"),
    AtMost("memory with 50,000 live tokens", "tokens-50000", "rss", 100, 1e6, "MB", step="second pass"),
    Faster("two workers", "two-workers", 1.0),
    AddedLatency("one connection, p50 added to the upstream alone", "p50"),
    AddedLatency("one connection, p99 added to the upstream alone", "p99"),
    Faster("no token, 401, against plain proxying", "no-token", 1.5),
    Unmoved("valid traffic's p99 beside a flood", "flood", "p99", "beside the flood", "alone", 1.2),
    Faster("answers of 100 KiB", "download-100k", 1.0),
    Faster("answers of 10 MiB", "download-10m", 1.0),
    Faster("request bodies of 100 KiB", "upload-100k", 1.0),
    Faster("request bodies of 10 MiB", "upload-10m", 1.0),
    Faster("TLS 1.3, kept alive", "tls", 1.0),
    Faster("HTTP/2, 100 streams a connection", "http2", 1.0),
    AtMost("memory of an idle connection", "idle", "bytes_per_connection", 10, 1024, "KiB"),
    AtMost("memory when idle", "plain", "rss_idle", 30, 1e6, "MB"),
)


def judge(table: Table) -> list[Judged]:
    """Those of which anything was measured."""
    return [judged for goal in GOALS if (judged := goal.judge(table)).measured]


def verdict(measured: Estimate | None, at_least: float | None = None, at_most: float | None = None) -> str:
    if measured is None or measured.rounds < ROUNDS or measured.interval is None:
        return f"not judged: fewer than {ROUNDS} rounds"
    low, high = measured.interval
    good = (low >= at_least) if at_least is not None else (high <= at_most)
    bad = (high < at_least) if at_least is not None else (low > at_most)
    return "met" if good else "missed" if bad else "open: the interval holds the bound"
