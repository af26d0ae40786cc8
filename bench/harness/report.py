"""The tables, in Markdown, and the chart. Pure functions of the results."""
from . import chart as drawing
from . import goals
from .results import Results
from .scenarios import SCENARIOS
from .statistics import Estimate, Table
from .targets import REFERENCE
from .tokens import ISSUERS, ROUTES

_HEAD = ("target", "CPU µs/request", f"÷ {REFERENCE.name}", "requests/s", f"÷ {REFERENCE.name}", "p50", "p99", "RSS, MB", "core busy: target, load", "noisy rounds")


def markdown(results: Results, chart_name: str | None = None) -> str:
    table = Table(results.publishable())
    sections = [_intro(results), f"![ratios to {REFERENCE.name}]({chart_name})\n" if chart_name else "", _goals(table)]
    sections += [_scenario(table, scenario.name, scenario.title) for scenario in SCENARIOS]
    sections += [_floods(table), _idle(table), _curves(table), _cases(results), _withheld(results)]
    return "\n".join(section for section in sections if section)


def chart(results: Results) -> str:
    return drawing.draw(Table(results.publishable()))


def withholds_ours(results: Results) -> bool:
    untrusted = {target for _, target in results.untrusted()}
    failed = {failure["target"] for failure in results.failures}
    return any(name.startswith(goals.OURS) for name in {*results.withheld(), *untrusted, *failed})


def _intro(results: Results) -> str:
    about, rounds = results.about, results.rounds()
    machine = about["machine"]
    noisy = sum(sample["noisy"] for sample in results.samples)
    lines = [
        "# Portcullis and its peers, side by side",
        "",
        f"Written by `bench/bench`; what the columns mean is in performance.md. {about['date']}, rounds: {rounds}, {about['seconds']} s a load, interleaved.",
        f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}. {noisy} of {len(results.samples)} measurements were noisy.",
        "",
    ]
    if rounds < goals.ROUNDS:
        lines += [f"**Too few to judge anything by: {rounds} of {goals.ROUNDS} rounds: this run says that it works, not how fast.**", ""]
    return "\n".join([*lines, *_table(("target", "version", "remark"), _target_rows(results))])


def _target_rows(results: Results) -> list[list[str]]:
    """Peers have their access logs off in their configurations."""
    return [[name, target["version"], target["remark"]] for name, target in results.targets.items()]


def _goals(table: Table) -> str:
    judged = goals.judge(table)
    rows = [[each.text, each.wanted, _with_interval(each.measured), _with_interval(each.beside), each.verdict] for each in judged]
    return "\n".join(["## Targets", "", *_table(("target", "wanted", "median [95 %]: by CPU, or the figure", "by requests/s", "verdict"), rows)]) if rows else ""


def _scenario(table: Table, name: str, title: str) -> str:
    lines = []
    for step in table.steps(name):
        rows = [_row(table, name, step, target) for target in table.targets(name)]
        heading = f"## {name}: {title}" + (f", {step}" if step else "")
        lines += [heading, "", *_table(_HEAD, rows)]
    return "\n".join(lines)


def _row(table: Table, scenario: str, step: str, target: str) -> list[str]:
    figure = lambda metric: table.estimate(scenario, step, target, metric)  # noqa: E731
    ratio = lambda metric: _ratio(table, scenario, step, target, metric)  # noqa: E731
    samples = table.samples(scenario, step, target).values()
    busy = f"{_median(figure('target_busy'), 100)} %, {_median(figure('client_busy'), 100)} %"
    noisy = f"{sum(sample['noisy'] for sample in samples)} of {len(samples)}"
    latency = [f"{_microseconds(figure(metric))}" for metric in ("p50", "p99")]
    memory = _median(figure("rss"), 1e-6)
    return [target, _with_range(figure("cpu_us"), 1), ratio("cpu_us"), _with_range(figure("rps")), ratio("rps"), *latency, memory, busy, noisy]


def _ratio(table: Table, scenario: str, step: str, target: str, metric: str) -> str:
    if target == REFERENCE.name:
        return "1"
    return _with_interval(table.ratio(scenario, step, target, REFERENCE.name, metric))


def _floods(table: Table) -> str:
    rows = []
    for target in table.targets("flood"):
        alone, beside = (table.estimate("flood", step, target, "p99") for step in ("alone", "beside the flood"))
        rate = table.estimate("flood", "beside the flood", target, "flood_rps")
        grown = goals.quotient(table.values("flood", "beside the flood", target, "p99"), table.values("flood", "alone", target, "p99"))
        rows.append([target, _with_range(rate), _microseconds(alone), _microseconds(beside), _with_interval(grown)])
    head = ("target", "wrong signatures/s", "valid p99 alone", "beside the flood", "ratio")
    return "\n".join(["## The flood's effect", "", *_table(head, rows)]) if rows else ""


def _idle(table: Table) -> str:
    rows = []
    for target in table.targets("idle"):
        count, size = (table.estimate("idle", "", target, metric) for metric in ("idle_connections", "bytes_per_connection"))
        rows.append([target, _median(count), _with_range(size)])
    head = ("target", "connections", "bytes of RSS each (the kernel's not counted)")
    return "\n".join(["## Memory of an idle connection", "", *_table(head, rows)]) if rows else ""


# What must not make a request dearer: (of what, [(how much of it, scenario, step)]).
CURVES = (
    ("routes", [(f"{count:,}", f"routes-{count}", "") for count in ROUTES]),
    ("issuers", [(f"{count:,}", f"issuers-{count}", "") for count in ISSUERS]),
    ("live tokens", [("1", "tokens-hot", ""), ("2,000", "tokens-2000", ""), ("50,000", "tokens-50000", "second pass")]),
    ("idle connections", [("0", "tokens-hot", ""), ("with", "idle", "")]),
)


def _curves(table: Table) -> str:
    """CPU µs per request over what could make it grow; each cell's ratio is to the first."""
    lines = []
    for name, points in CURVES:
        targets = [target for target in table.targets(points[0][1]) if all(table.samples(s, step, target) for _, s, step in points)]
        rows = [[target, *_curve(table, target, points)] for target in targets]
        lines += [f"## CPU µs per request over {name}", "", *_table((name, *(label for label, _, _ in points)), rows)] if rows else []
    return "\n".join(lines)


def _curve(table: Table, target: str, points: list[tuple[str, str, str]]) -> list[str]:
    values = [table.values(scenario, step, target, "cpu_us") for _, scenario, step in points]
    estimates = [table.estimate(scenario, step, target, "cpu_us") for _, scenario, step in points]
    ratios = ["", *(f", × {_with_interval(goals.quotient(value, values[0]))}" for value in values[1:])]
    return [_median(each, 1, 1) + ratio for each, ratio in zip(estimates, ratios, strict=True)]


def _cases(results: Results) -> str:
    gates = {name: target for name, target in results.targets.items() if target["statuses"]}
    names = list(dict.fromkeys(case for target in gates.values() for case in target["statuses"]))
    rows = [[case, *(_case(target, case) for target in gates.values())] for case in names]
    title = "## Functional cases (status; bold: not what a complete check gives)"
    return "\n".join([title, "", *_table(("case", *gates), rows)]) if rows else ""


def _case(target: dict, case: str) -> str:
    status = str(target["statuses"].get(case, ""))
    return f"**{status}**" if case in target["problems"] else status


def _withheld(results: Results) -> str:
    lines = [f"- {name}: {why}" for name, why in results.withheld().items()]
    lines += [f"- {target} in {scenario}: {why}" for (scenario, target), why in results.untrusted().items()]
    lines += [f"- {f['target']} in {f['scenario']}, round {f['round']}: {f['error']}" for f in results.failures]
    return "\n".join(["## Withheld", "", "No figures where a functional case failed, an answer was not as expected, or nothing could be measured:", "", *lines, ""]) if lines else ""


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    cells = [list(head), ["---"] * len(head), *rows]
    return [*("| " + " | ".join(row) + " |" for row in cells), ""]


def _with_interval(found: Estimate | None) -> str:
    """The interval of the median, or, with too few rounds for one, the range."""
    if found is None:
        return ""
    low, high = found.interval or (found.low, found.high)
    return f"{found.median:.2f} {'[' if found.interval else '('}{low:.2f}–{high:.2f}{']' if found.interval else ')'}"


def _with_range(found: Estimate | None, digits: int = 0) -> str:
    return f"{found.median:,.{digits}f} ({found.low:,.{digits}f}–{found.high:,.{digits}f})" if found else ""


def _median(found: Estimate | None, scale: float = 1, digits: int = 0) -> str:
    return f"{found.median * scale:,.{digits}f}" if found else ""


def _microseconds(found: Estimate | None) -> str:
    if found is None:
        return ""
    return f"{found.median:.0f} µs" if found.median < 1000 else f"{found.median / 1000:.2f} ms"
