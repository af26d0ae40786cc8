"""What is asked of the targets. A scenario is measured on a fresh process, so that none inherits another's memory.

To add one: a line in SCENARIOS. If it needs something that a target may lack (TLS, HTTP/2), name that in targets.py, put it into
`offers` of those that have it, and give `Load` what it takes.
"""
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from . import tokens
from .arena import Stage
from .http1 import IdleConnections, most_idle_connections
from .load import Load
from .measuring import Expected, Patience, measure, probe, warm_up
from .names import PUBLIC_HOST, issuer_host, route_path
from .targets import BODIES, ISSUERS, PUBLIC, REFERENCE, ROUTES, TLS, TOKENS, TRAFFIC, Target

KIB, MIB = 1024, 1024 * 1024
_SETTLE = 0.5  # seconds until a target's memory is looked at


@dataclass(frozen=True, kw_only=True)
class Scenario(ABC):
    name: str
    title: str
    needs: frozenset[str]
    workers: int = 1
    routes: int = 1
    issuers: int = 1
    quick: bool = False  # part of a quick run

    @abstractmethod
    def measure(self, stage: Stage, patience: Patience) -> dict[str, dict]:
        """A sample for each step."""

    def includes(self, target: Target) -> bool:
        """The reference is measured in every scenario: it answers what the others do, without the check."""
        chosen = target.only is None or self.name in target.only
        return target.name == REFERENCE.name or (chosen and self.needs <= target.offers)


@dataclass(frozen=True, kw_only=True)
class Plain(Scenario):
    """The same load for the whole time."""

    load: Load
    refused: bool = False  # by targets that check tokens
    body_bytes: int | None = None

    def measure(self, stage: Stage, patience: Patience) -> dict[str, dict]:
        expected = Expected(401 if self.refused and stage.target.checks_tokens else 200, self.body_bytes)
        idle = stage.usage()
        errors = probe(stage, self.load, expected)
        warm_up(stage, self.load, patience)
        sample = measure(stage, self.load, patience.seconds, patience, expected)
        errors += probe(stage, self.load, expected)
        return {"": {**sample, "rss_idle": idle.rss, "errors": [*sample["errors"], *errors]}}


@dataclass(frozen=True, kw_only=True)
class TwoPasses(Scenario):
    """Tokens that the target has never seen, each once; then the same again, in the same order, for the whole time."""

    requests: str

    def measure(self, stage: Stage, patience: Patience) -> dict[str, dict]:
        good = Expected(200)
        warm_up(stage, Load(), patience)
        load = Load(requests=self.requests)
        first = measure(stage, replace(load, once=True), 15, patience, good)
        second = measure(stage, load, patience.seconds, patience, good)
        return {"first pass": first, "second pass": second}


@dataclass(frozen=True, kw_only=True)
class Flood(Scenario):
    """Valid traffic below saturation, alone and beside a flood of tokens whose signatures are wrong."""

    valid: Load
    flood: Load

    def measure(self, stage: Stage, patience: Patience) -> dict[str, dict]:
        good = Expected(200)
        warm_up(stage, self.valid, patience)
        alone = measure(stage, self.valid, patience.seconds, patience, good)
        beside = measure(stage, self.valid, patience.seconds, patience, good, self.flood)
        return {"alone": alone, "beside the flood": beside}


@dataclass(frozen=True, kw_only=True)
class Idle(Scenario):
    """Memory of connections that had one request each, and the cost of a request while they are there."""

    def measure(self, stage: Stage, patience: Patience) -> dict[str, dict]:
        warm_up(stage, Load(), patience)
        with IdleConnections(stage.port, stage.material.hot_token) as idle:
            before = stage.usage().rss
            idle.add(most_idle_connections(patience.idle_connections))
            time.sleep(_SETTLE)
            grown = stage.usage().rss - before
            sample = measure(stage, Load(), patience.seconds, patience, Expected(200))
            closed = idle.closed_by_peer()
            count = len(idle.open)
        errors = [f"{closed} of {count} idle connections were closed"] if closed else []
        memory = {"idle_connections": count, "bytes_per_connection": grown / count}
        return {"": {**sample, **memory, "errors": [*sample["errors"], *errors]}}


def _routes(count: int) -> Plain:
    return Plain(
        name=f"routes-{count}",
        title=f"{count:,} routes, all of them asked in turn",
        needs=frozenset({ROUTES}),
        routes=count,
        load=Load(requests=f"routes-{count}", path=route_path(0)),
    )


def _issuers(count: int) -> Plain:
    return Plain(
        name=f"issuers-{count}",
        title=f"{count:,} issuers, tokens of all of them in turn",
        needs=frozenset({ISSUERS}),
        issuers=count,
        load=Load(requests=f"issuers-{count}", host=issuer_host(0)),
    )


def _download(name: str, size: int, connections: int) -> Plain:
    return Plain(
        name=f"download-{name}",
        title=f"answers of {size // KIB:,} KiB",
        needs=frozenset({BODIES}),
        load=Load(path=f"/bytes/{size}", connections=connections),
        body_bytes=size,
    )


def _upload(name: str, size: int, connections: int) -> Plain:
    return Plain(
        name=f"upload-{name}",
        title=f"request bodies of {size // KIB:,} KiB",
        needs=frozenset({BODIES}),
        load=Load(upload=size, connections=connections),
    )


_HTTP2 = Load(tls=True, http2=True, connections=4, streams=100)

SCENARIOS: tuple[Scenario, ...] = (
    Plain(name="plain", title="no token wanted", needs=frozenset({PUBLIC}), load=Load(sends_token=False, host=PUBLIC_HOST), quick=True),
    Plain(name="tokens-hot", title="one hot token", needs=frozenset({TOKENS}), load=Load(), quick=True),
    Plain(name="tokens-2000", title=f"{tokens.FEW:,} tokens in turn", needs=frozenset({TOKENS}), load=Load(requests="few")),
    TwoPasses(name="tokens-50000", title=f"{tokens.MANY:,} tokens", needs=frozenset({TOKENS}), requests="many", quick=True),
    Plain(name="one-connection", title="one connection", needs=frozenset(), load=Load(connections=1), quick=True),
    Plain(name="two-workers", title="two workers on two shared cores", needs=frozenset({TRAFFIC}), workers=2, load=Load(connections=128, threads=2)),
    Plain(name="no-token", title="no token: 401 (nginx: passes it)", needs=frozenset({TOKENS}), load=Load(sends_token=False), refused=True, quick=True),
    Flood(
        name="flood",
        title="at most 10,000 wrong signatures a second beside valid traffic (nginx: passes them)",
        needs=frozenset({TOKENS}),
        valid=Load(pause_ms=8, connections=32),
        flood=Load(flood=True, requests="few", pause_ms=10, connections=100),
    ),
    _download("100k", 100 * KIB, 64),
    _download("10m", 10 * MIB, 4),
    _upload("100k", 100 * KIB, 64),
    _upload("10m", 10 * MIB, 4),
    Plain(name="tls", title="HTTP/1.1 over TLS 1.3, kept alive", needs=frozenset({TLS}), load=Load(tls=True)),
    Plain(name="http2", title="HTTP/2 over TLS 1.3, 100 streams on each of 4 connections", needs=frozenset({TLS}), load=_HTTP2),
    Idle(name="idle", title="idle connections", needs=frozenset({TRAFFIC})),
    *(_routes(count) for count in tokens.ROUTES),
    *(_issuers(count) for count in tokens.ISSUERS),
)
