"""The JSON of a run: what was measured, on what, by which versions. Everything printed is a function of it."""
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

FORMAT = 1


@dataclass
class Results:
    """`samples`: one for each round, scenario, step and target. `failures`: what could not be measured, and why."""

    about: dict = field(default_factory=dict)
    targets: dict[str, dict] = field(default_factory=dict)  # name -> version, remark, verification
    samples: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)

    def save(self, to: Path) -> None:
        """Whole or not at all, so that a run that is broken off keeps its rounds."""
        part = to.with_name(to.name + ".part")
        part.write_text(json.dumps({"format": FORMAT, **vars(self)}, indent=1))
        os.replace(part, to)

    def rounds(self) -> int:
        return len({sample["round"] for sample in self.samples})

    def withheld(self) -> dict[str, str]:
        """Targets without figures: a functional case failed, or none was asked."""
        return {name: "; ".join(target["fatal"]) for name, target in self.targets.items() if target["fatal"]}

    def untrusted(self) -> dict[tuple[str, str], str]:
        """(scenario, target) without figures, because an answer was not as it should be: in any round, at any step."""
        return {(sample["scenario"], sample["target"]): "; ".join(sample["errors"]) for sample in self.samples if sample["errors"]}

    def publishable(self) -> list[dict]:
        withheld, untrusted = self.withheld(), self.untrusted()
        good = lambda s: s["target"] not in withheld and (s["scenario"], s["target"]) not in untrusted  # noqa: E731
        return [sample for sample in self.samples if good(sample)]


def load(file: Path) -> Results:
    document = json.loads(file.read_text())
    if document.pop("format", None) != FORMAT:
        raise ValueError(f"{file}: not results of this benchmark, or of another version of it")
    return Results(**document)


def merge(parts: list[Results]) -> Results:
    """Runs of the same things on the same machine: their rounds are numbered on."""
    whole = Results(about=dict(parts[0].about))
    for part in parts:
        if part.about["machine"] != whole.about["machine"]:
            raise ValueError("results of different machines cannot be merged")
        offset = max((sample["round"] for sample in whole.samples), default=0)
        whole.samples += [{**sample, "round": sample["round"] + offset} for sample in part.samples]
        whole.failures += [{**failure, "round": failure["round"] + offset} for failure in part.failures]
        _merge_targets(whole.targets, part.targets)
    return whole


def _merge_targets(into: dict[str, dict], more: dict[str, dict]) -> None:
    for name, target in more.items():
        known = into.setdefault(name, target)
        if known["version"] != target["version"]:
            raise ValueError(f"{name}: results of {known['version']} and {target['version']} cannot be merged")
        if target["fatal"]:
            into[name] = target
