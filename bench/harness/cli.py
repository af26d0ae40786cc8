"""The verbs: setup, run, report, selftest."""
import argparse
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from . import places, report, setup
from .arena import Arena
from .load import MOST_SECONDS
from .measuring import Patience
from .portcullis import OURS
from .processes import Cores, Failed
from .results import Results, load, merge
from .scenarios import SCENARIOS, Scenario
from .session import Session
from .targets import PEERS, REFERENCE, Target
from .tokens import material

TARGETS: tuple[Target, ...] = (*OURS, *PEERS)
_QUICK = ("portcullis", "nginx", "haproxy-jwt", "envoy-jwt")
_FULL = ("portcullis", "portcullis-log", "direct", "nginx", "haproxy-jwt", "envoy-jwt", "envoy-jwt-cache")


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    options = _parser().parse_args(arguments)
    try:
        return options.verb(options)
    except (places.Missing, Failed, ValueError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/bench", description="Portcullis and its peers side by side: docs/performance.md")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_setup(verbs.add_parser("setup", help="get what is missing"))
    _add_run(verbs.add_parser("run", help="measure, and print the tables"))
    _add_report(verbs.add_parser("report", help="print the tables of earlier runs, merged"))
    verbs.add_parser("selftest", help="the harness's own tests").set_defaults(verb=_selftest)
    return parser


def _add_setup(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=_set_up)
    parser.add_argument("--with", dest="optional", action="append", default=[], choices=setup.OPTIONAL, help="this peer too; repeatable")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=_run)
    names = [target.name for target in TARGETS]
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(names)}; by default those of {', '.join(_FULL)} that are there; quick: {', '.join(_QUICK)}")
    parser.add_argument("--quick", action="store_true", help="few scenarios, 3 rounds of 2 s: does it work, and roughly how does it stand")
    parser.add_argument("--scenario", action="append", metavar="NAME", help=f"of {', '.join(s.name for s in SCENARIOS)}; repeatable")
    parser.add_argument("--rounds", type=int, metavar="N", help="9 by default; fewer are not judged")
    parser.add_argument("--seconds", type=int, metavar="S", help=f"of one load: 4 by default, at most {MOST_SECONDS - 1}")
    parser.add_argument("--idle-connections", type=int, default=20_000, metavar="N", help="20,000 by default, less where the limit on open files is lower")
    parser.add_argument("--wait", type=float, default=60, metavar="S", help="how long to wait for a quiet machine before a load; then it counts as noise")
    parser.add_argument("--base", type=int, default=19100, metavar="PORT", help="the first of about 60 ports on 127.0.0.1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results go [default: below the scratch directory]")
    _add_outputs(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=_report)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="results of run --json")
    _add_outputs(parser)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables go there, and the chart beside them as .svg")


def _set_up(options: argparse.Namespace) -> int:
    setup.set_up(options.optional)
    return 0


def _run(options: argparse.Namespace) -> int:
    rounds, seconds = options.rounds or (3 if options.quick else 9), options.seconds or (2 if options.quick else 4)
    if rounds < 1 or not 1 <= seconds < MOST_SECONDS:
        raise ValueError(f"--rounds is at least 1, --seconds from 1 to {MOST_SECONDS - 1}")
    targets, scenarios = _chosen_targets(options), _chosen_scenarios(options)
    patience = Patience(seconds=seconds, wait=options.wait, idle_connections=options.idle_connections)
    output = options.json or places.SCRATCH / f"results-{time.strftime('%Y%m%d-%H%M%S')}.json"
    session = Session(_arena(options.base), targets, scenarios, patience, rounds, output)
    results = session.run()
    print(f"bench: results in {output}", file=sys.stderr)
    return _publish(results, options.markdown)


def _report(options: argparse.Namespace) -> int:
    return _publish(merge([load(file) for file in options.files]), options.markdown)


def _publish(results: Results, markdown: Path | None) -> int:
    """1 when a figure of ours had to be withheld."""
    if markdown:
        chart = markdown.with_suffix(".svg")
        chart.write_text(report.chart(results))
        markdown.write_text(report.markdown(results, chart.name))
    else:
        print(report.markdown(results))
    return 1 if report.withholds_ours(results) else 0


def _selftest(_: argparse.Namespace) -> int:
    tests = unittest.defaultTestLoader.discover(str(places.BENCH / "tests"), top_level_dir=str(places.BENCH))
    return 0 if unittest.TextTestRunner().run(tests).wasSuccessful() else 1


def _chosen_targets(options: argparse.Namespace) -> list[Target]:
    """Those named must be there; the usual ones are taken if they are. The reference always takes part."""
    known = {target.name: target for target in TARGETS}
    if unknown := set(options.peers) - set(known):
        raise ValueError(f"no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options.peers:
        wanted = list(dict.fromkeys([*options.peers, REFERENCE.name]))
    else:
        wanted = [name for name in (_QUICK if options.quick else _FULL) if name in ("portcullis", REFERENCE.name) or places.has(known[name].program)]
    for name in wanted:
        _require_release(places.program(known[name].program))
    return [known[name] for name in wanted]


def _require_release(program: str) -> None:
    if Path(program).parent.name == "debug":
        raise ValueError(f"{program} is a debug build: its figures would mean nothing")


def _chosen_scenarios(options: argparse.Namespace) -> list[Scenario]:
    names = set(options.scenario or [])
    if unknown := names - {scenario.name for scenario in SCENARIOS}:
        raise ValueError(f"no scenario {', '.join(sorted(unknown))}")
    return [scenario for scenario in SCENARIOS if (scenario.name in names if names else scenario.quick or not options.quick)]


def _arena(base: int) -> Arena:
    """Tokens are minted on all cores; after that this process keeps off the target's."""
    places.SCRATCH.mkdir(parents=True, exist_ok=True)
    keys = material(places.SCRATCH / "material", time.time())
    cores = Cores.first_two()
    os.sched_setaffinity(0, cores.client)
    return Arena(base, cores, keys, places.SCRATCH)
