"""Runs a load with the generator that speaks its protocol."""
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from . import h2load
from . import load as wrk
from .arena import Stage
from .load import MOST_SECONDS, Load, Outcome

_GRACE = 20  # seconds after which a generator that does not end has failed


@dataclass(frozen=True)
class Running:
    """A load under way."""

    process: subprocess.Popen
    parse: Callable[[str, str], Outcome]

    def finish(self) -> Outcome:
        try:
            output, errors = self.process.communicate(timeout=MOST_SECONDS + _GRACE)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self.parse(output, errors)


def start(load: Load, stage: Stage, seconds: int) -> Running:
    module = h2load if load.tls else wrk
    port = stage.tls_port if load.tls else stage.port
    process = subprocess.Popen(
        module.command(load, port, seconds, stage.material),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, stage.cores.client),
    )
    return Running(process, module.parse)
