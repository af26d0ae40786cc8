"""What the kernel says: CPU time and memory of processes, how busy the machine is. All from /proc; Linux only."""
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of a process and all its descendants: CPU seconds since they started, bytes now."""

    user: float = 0.0
    system: float = 0.0
    rss: int = 0
    pss: int = 0

    @property
    def cpu(self) -> float:
        return self.user + self.system


@dataclass(frozen=True)
class Clock:
    """CPU seconds of the whole machine since it started, over all cores."""

    total: float
    idle: float
    stolen: float


@dataclass(frozen=True)
class Quiet:
    """How it was just before a measurement: the busy share of the machine, and whether that was below the limit."""

    busy: float
    reached: bool


def usage(root: int) -> Usage:
    return sum_usage(_usage_of(pid) for pid in descendants(root))


def sum_usage(parts) -> Usage:
    parts = list(parts)
    total = lambda field: sum(getattr(part, field) for part in parts)  # noqa: E731
    return Usage(total("user"), total("system"), total("rss"), total("pss"))


def descendants(root: int) -> list[int]:
    """`root` and every process below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def clock() -> Clock:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Clock(total=sum(fields) / _TICKS, idle=(fields[3] + fields[4]) / _TICKS, stolen=fields[7] / _TICKS)


def wait_until_quiet(limit: float, patience: float) -> Quiet:
    """Returns when the machine was less than `limit` busy for a second, or after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        before = clock()
        time.sleep(1)
        after = clock()
        busy = 1 - (after.idle - before.idle) / max(after.total - before.total, 1e-9)
        if busy < limit or time.monotonic() > deadline:
            return Quiet(busy, busy < limit)


def description() -> dict[str, str]:
    """For the results: what the figures were measured on. No host name."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {"cpu": model.group(1) if model else "unknown", "cores": str(os.cpu_count()), "kernel": os.uname().release}


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name; `None` when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def _usage_of(pid: int) -> Usage:
    stat = _stat(pid)
    if stat is None:
        return Usage()
    return Usage(int(stat[11]) / _TICKS, int(stat[12]) / _TICKS, int(stat[21]) * _PAGE, _proportional(pid))


def _proportional(pid: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0
