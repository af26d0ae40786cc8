"""The chart: for each scenario, every target's CPU per request and requests per second, divided by the reference's. SVG 1.1."""
from dataclasses import dataclass
from math import log2
from xml.sax.saxutils import escape

from .scenarios import SCENARIOS
from .statistics import Estimate, Table
from .targets import REFERENCE

_METRICS = (("cpu_us", "CPU per request ÷ nginx's: less is better"), ("rps", "requests per second ÷ nginx's: more is better"))
_OURS = "#1a6fb5"
_OTHERS = "#8a949e"
_LABEL, _PANEL, _GAP, _ROW, _HEAD = 330, 360, 40, 18, 56  # pixels
_LEAST, _MOST = 1 / 4, 16  # the axis is logarithmic, from a quarter to sixteen times the reference


@dataclass(frozen=True)
class Row:
    label: str
    ours: bool
    ratios: tuple[Estimate | None, ...]  # as _METRICS


def draw(table: Table) -> str:
    rows = _rows(table)
    width, height = _LABEL + 2 * _PANEL + 2 * _GAP, _HEAD + len(rows) * _ROW + 30
    parts = [_text(8, 20, f"Ratios to {REFERENCE.name} without a token check: median, and 95 % interval (with too few rounds: the range)", "start")]
    for index, (_, title) in enumerate(_METRICS):
        parts += _panel(_LABEL + index * (_PANEL + _GAP), height, title)
    for number, row in enumerate(rows):
        parts += _row(row, _HEAD + number * _ROW + _ROW / 2)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def _rows(table: Table) -> list[Row]:
    found = []
    for scenario in SCENARIOS:
        for step in table.steps(scenario.name):
            for target in table.targets(scenario.name):
                ratios = tuple(table.ratio(scenario.name, step, target, REFERENCE.name, metric) for metric, _ in _METRICS)
                if target != REFERENCE.name and any(ratios):
                    label = f"{scenario.name}{', ' + step if step else ''}: {target}"
                    found.append(Row(label, target.startswith("portcullis"), ratios))
    return found


def _panel(left: float, height: float, title: str) -> list[str]:
    parts = [_text(left + _PANEL / 2, 38, title, "middle")]
    for value in (1 / 4, 1 / 2, 1, 2, 4, 8, 16):
        at = left + _at(value)
        parts.append(_line(at, _HEAD - 4, at, height - 26, "#333" if value == 1 else "#ddd"))
        parts.append(_text(at, height - 10, f"{value:g}", "middle"))
    return parts


def _row(row: Row, middle: float) -> list[str]:
    colour = _OURS if row.ours else _OTHERS
    parts = [_text(_LABEL - 8, middle + 4, row.label, "end")]
    for index, ratio in enumerate(row.ratios):
        if ratio:
            parts += _bar(_LABEL + index * (_PANEL + _GAP), middle, ratio, colour)
    return parts


def _bar(left: float, middle: float, ratio: Estimate, colour: str) -> list[str]:
    """From the reference to the median, with a whisker over the interval."""
    start, end = sorted((_at(1), _at(ratio.median)))
    low, high = ratio.interval or (ratio.low, ratio.high)
    bar = f'<rect x="{left + start:.1f}" y="{middle - 5:.1f}" width="{max(end - start, 1):.1f}" height="10" fill="{colour}"><title>{ratio.median:.2f}</title></rect>'
    return [bar, _line(left + _at(low), middle, left + _at(high), middle, "black")]


def _at(value: float) -> float:
    """Pixels from the left of a panel; what is off the axis ends at its edge."""
    bounded = min(max(value, _LEAST), _MOST)
    return _PANEL * log2(bounded / _LEAST) / log2(_MOST / _LEAST)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
