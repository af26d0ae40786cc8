"""Starting programs on chosen cores, and ending them, and only them."""
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_PATIENCE = 5  # seconds from SIGTERM to SIGKILL


class Failed(Exception):
    """A process did not do what the run needs; the message says which and what."""


@dataclass(frozen=True)
class Cores:
    """Who runs where."""

    target: frozenset[int]
    client: frozenset[int]

    @classmethod
    def first_two(cls) -> "Cores":
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise Failed("two cores are needed: one for the target, one for the load")
        return cls(frozenset(available[:1]), frozenset(available[1:2]))

    @property
    def both(self) -> "Cores":
        """Everybody shares both cores."""
        return Cores(self.target | self.client, self.target | self.client)


@contextmanager
def running(command: list[str], cores: frozenset[int], log: Path, environment: dict[str, str] | None = None, drain: bool = False) -> Iterator[subprocess.Popen]:
    """A process in a session of its own. `log` gets its standard error, and its standard output unless that is drained:
    read through a pipe by a process on the load's core, and thrown away."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if drain else file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL) if drain else None
    try:
        yield process
    finally:
        stop(process)
        if reader:
            process.stdout.close()
            reader.wait()


def stop(process: subprocess.Popen) -> None:
    """SIGTERM, then SIGKILL to what is left of the session that `running` made for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def wait_for_port(port: int, process: subprocess.Popen, patience: float = 20) -> None:
    deadline = time.monotonic() + patience
    while is_free(port):
        if process.poll() is not None:
            raise Failed(f"{Path(process.args[0]).name} ended with {process.returncode} before it listened")
        if time.monotonic() > deadline:
            raise Failed(f"{Path(process.args[0]).name} does not listen on {port} after {patience:g} s")
        time.sleep(0.05)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
