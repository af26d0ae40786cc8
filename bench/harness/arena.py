"""Starts what one measurement needs, each on its core, and ends it afterwards."""
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from . import machine, places
from .http1 import Answer, ask
from .issuer import serving_keys
from .processes import Cores, Failed, is_free, running, wait_for_port
from .targets import Direct, Setting, Target
from .tokens import Material

_READY_PATIENCE = 30  # seconds until the first request with a good token passes
_PORTS_OF_A_TARGET = 4


@dataclass(frozen=True)
class Stage:
    """A started target with its upstream, ready for requests on `port`, and over TLS, if it offers that, on `tls_port`."""

    target: Target
    port: int
    tls_port: int
    process: Popen
    upstream: Popen
    cores: Cores
    material: Material

    def usage(self) -> machine.Usage:
        return machine.usage(self.process.pid)

    def upstream_usage(self) -> machine.Usage:
        """Nothing where the upstream itself is the target."""
        return machine.Usage() if self.upstream is self.process else machine.usage(self.upstream.pid)


@dataclass(frozen=True)
class Arena:
    """Ports from `base` on: the upstream, the issuer's two, then four for each target. All on 127.0.0.1."""

    base: int
    cores: Cores
    material: Material
    directory: Path

    @property
    def upstream_port(self) -> int:
        return self.base

    @contextmanager
    def issuer(self) -> Iterator[None]:
        with serving_keys(self.material, self.base + 1, self.base + 2):
            yield

    @contextmanager
    def stage(self, target: Target, place: int, workers: int = 1, routes: int = 1, issuers: int = 1, keeps_heads: bool = False) -> Iterator[Stage]:
        """`place` is the target's number: it has ports and a directory of its own."""
        cores = self.cores.both if workers > 1 else self.cores
        if isinstance(target, Direct):
            with self._upstream(cores.target) as upstream:
                yield Stage(target, self.upstream_port, 0, upstream, upstream, cores, self.material)
            return
        setting = self._setting(target, place, workers, routes, issuers)
        with self._upstream(cores.client, keeps_heads) as upstream, self._started(target, setting, cores.target) as process:
            _wait_until_it_passes(setting)
            yield Stage(target, setting.port, setting.tls_port, process, upstream, cores, self.material)

    @contextmanager
    def _upstream(self, cores: frozenset[int], keeps_heads: bool = False) -> Iterator[Popen]:
        _require_free(self.upstream_port)
        environment = {"BENCH_UPSTREAM_KEEPS_HEADS": "1"} if keeps_heads else {}
        command = [places.program("bench-upstream"), str(self.upstream_port)]
        with running(command, cores, self.directory / "upstream.log", environment) as process:
            wait_for_port(self.upstream_port, process)
            yield process

    @contextmanager
    def _started(self, target: Target, setting: Setting, cores: frozenset[int]) -> Iterator[Popen]:
        _require_free(setting.port)
        values = {"workers": setting.workers, "directory": setting.directory}
        environment = {name: text.format_map(values) for name, text in target.environment.items()}
        log = self.directory / f"{target.name}.log"
        with running(target.command(setting), cores, log, environment, drain=target.drains_output) as process:
            wait_for_port(setting.port, process)
            yield process

    def _setting(self, target: Target, place: int, workers: int, routes: int, issuers: int) -> Setting:
        first = self.base + 10 + place * _PORTS_OF_A_TARGET
        directory = self.directory / target.name
        directory.mkdir(parents=True, exist_ok=True)
        return Setting(
            port=first,
            admin_port=first + 1,
            inspect_port=first + 2,
            tls_port=first + 3,
            upstream_port=self.upstream_port,
            keys_http_port=self.base + 1,
            keys_https_port=self.base + 2,
            workers=workers,
            routes=routes,
            issuers=issuers,
            material=self.material,
            directory=directory,
        )


def _require_free(port: int) -> None:
    if not is_free(port):
        raise Failed(f"port {port} is taken: --base chooses others")


def _wait_until_it_passes(setting: Setting) -> None:
    """A listener can be up before its routes and keys are."""
    deadline = time.monotonic() + _READY_PATIENCE
    while (answer := _first_answer(setting)).status != 200:
        if time.monotonic() > deadline:
            raise Failed(f"a good token still gets {answer.status} after {_READY_PATIENCE} s")
        time.sleep(0.1)


def _first_answer(setting: Setting) -> Answer:
    try:
        return ask(setting.port, setting.material.hot_token)
    except OSError:
        return Answer(0, b"")
