"""Medians over rounds, their range, and a 95 % interval that assumes nothing about the distribution."""
from dataclasses import dataclass
from math import comb
from statistics import median

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """`interval` is the 95 % interval of the median; `None` with fewer than six rounds, which cannot give one."""

    median: float
    low: float
    high: float
    rounds: int
    interval: tuple[float, float] | None


def estimate(values: list[float]) -> Estimate | None:
    if not values:
        return None
    ordered = sorted(values)
    return Estimate(median(ordered), ordered[0], ordered[-1], len(ordered), _interval(ordered))


def _interval(ordered: list[float]) -> tuple[float, float] | None:
    """Between two order statistics: the k-th from either end, for the largest k that still covers the median often enough."""
    count = len(ordered)
    depth = next((k for k in range(count // 2, 0, -1) if coverage(count, k) >= CONFIDENCE), None)
    return (ordered[depth - 1], ordered[count - depth]) if depth else None


def coverage(count: int, depth: int) -> float:
    """How often the median lies between the `depth`-th smallest and the `depth`-th largest of `count` values."""
    return 1 - 2 * sum(comb(count, below) for below in range(depth)) / 2**count


class Table:
    """Samples by scenario, step and target; ratios are taken within a round, so what drifts between rounds cancels."""

    def __init__(self, samples: list[dict]) -> None:
        self._cells: dict[tuple[str, str, str], dict[int, dict]] = {}
        for sample in samples:
            cell = self._cells.setdefault((sample["scenario"], sample["step"], sample["target"]), {})
            cell[sample["round"]] = sample

    def samples(self, scenario: str, step: str, target: str) -> dict[int, dict]:
        """By round."""
        return self._cells.get((scenario, step, target), {})

    def values(self, scenario: str, step: str, target: str, metric: str) -> dict[int, float]:
        found = self.samples(scenario, step, target)
        return {number: sample[metric] for number, sample in found.items() if metric in sample}

    def estimate(self, scenario: str, step: str, target: str, metric: str) -> Estimate | None:
        return estimate(list(self.values(scenario, step, target, metric).values()))

    def ratio(self, scenario: str, step: str, target: str, other: str, metric: str) -> Estimate | None:
        """`target` over `other`."""
        return quotient(self.values(scenario, step, target, metric), self.values(scenario, step, other, metric))

    def steps(self, scenario: str) -> list[str]:
        return list(dict.fromkeys(step for name, step, _ in self._cells if name == scenario))

    def targets(self, scenario: str) -> list[str]:
        return list(dict.fromkeys(target for name, _, target in self._cells if name == scenario))


def quotient(above: dict[int, float], below: dict[int, float]) -> Estimate | None:
    """Of the rounds that both have, and in which there is something to divide by (an added latency can be lost in noise)."""
    return estimate([above[number] / below[number] for number in above if below.get(number, 0) > 0])
