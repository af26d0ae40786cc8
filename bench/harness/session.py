"""One run: verification of every target, then interleaved rounds."""
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .arena import Arena
from .measuring import Patience
from .processes import Failed
from .results import Results
from .scenarios import Scenario
from .targets import Direct, Target
from .verification import verify

_CANNOT = (Failed, OSError, ValueError)  # what ends one measurement, not the run


@dataclass(frozen=True)
class Session:
    arena: Arena
    targets: Sequence[Target]
    scenarios: Sequence[Scenario]
    patience: Patience
    rounds: int
    output: Path

    def run(self) -> Results:
        """Saves after every target of every round."""
        results = Results(about=self._about())
        with self.arena.issuer():
            for target in self.targets:
                results.targets[target.name] = self._verified(target)
            results.save(self.output)
            for number in range(1, self.rounds + 1):
                self._round(number, results)
        return results

    def _round(self, number: int, results: Results) -> None:
        """Every scenario on every target, the targets in another order each time: nobody always goes first."""
        withheld = results.withheld()
        for scenario in self.scenarios:
            taking_part = [target for target in self.targets if scenario.includes(target) and target.name not in withheld]
            shift = number % max(len(taking_part), 1)
            for target in [*taking_part[shift:], *taking_part[:shift]]:
                self._measure(number, scenario, target, results)
                results.save(self.output)

    def _measure(self, number: int, scenario: Scenario, target: Target, results: Results) -> None:
        key = {"round": number, "scenario": scenario.name, "target": target.name}
        began = time.monotonic()
        try:
            with self.arena.stage(target, self._place(target), scenario.workers, scenario.routes, scenario.issuers) as stage:
                steps = scenario.measure(stage, self.patience)
        except _CANNOT as error:
            results.failures.append({**key, "error": str(error)})
            _say(f"round {number} {scenario.name} {target.name}: FAILED: {error}")
            return
        results.samples += [{**key, "step": step, **sample} for step, sample in steps.items()]
        errors = "; ".join(error for sample in steps.values() for error in sample["errors"])
        _say(f"round {number} {scenario.name} {target.name}: {errors or 'measured'} ({time.monotonic() - began:.0f} s)")

    def _verified(self, target: Target) -> dict:
        about = {"version": target.version(), "remark": target.remark, "checks_tokens": target.checks_tokens}
        if isinstance(target, Direct):
            return {**about, "statuses": {}, "problems": {}, "fatal": [], "upstream_sees": []}
        try:
            with self.arena.stage(target, self._place(target), keeps_heads=True) as stage:
                found = verify(stage, time.time())
        except _CANNOT as error:
            found = {"statuses": {}, "problems": {}, "fatal": [f"could not be asked: {error}"], "upstream_sees": []}
        _say(f"{target.name}: " + ("no figures: " + "; ".join(found["fatal"]) if found["fatal"] else "functional cases passed"))
        return {**about, **found}

    def _place(self, target: Target) -> int:
        return self.targets.index(target)

    def _about(self) -> dict:
        return {
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine.description(),
            "seconds": self.patience.seconds,
            "scenarios": [scenario.name for scenario in self.scenarios],
        }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
