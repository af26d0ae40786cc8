"""Asks a target the functional cases before anything is measured."""
import re
import time

from .arena import Stage
from .cases import HELD_FOR, Case, Expect, cases
from .http1 import Answer, ask
from .names import BODY, PUBLIC_HOST
from .targets import BODIES, PUBLIC, Direct

_REFUSALS = (401, 403)


def verify(stage: Stage, now: float) -> dict:
    """`statuses` by case; `problems`: what was not as a complete check gives it; `fatal`: the problems that forbid figures."""
    statuses, problems, fatal = {}, {}, []
    for case in cases(stage.material, now) if stage.target.checks_tokens else []:
        statuses[case.name], problem = _ask_case(stage.port, case)
        if problem:
            problems[case.name] = problem
            fatal += [f"{case.name}: {problem}"] if case.required or stage.target.strict else []
    fatal += _without_check(stage) + _bodies(stage)
    return {"statuses": statuses, "problems": problems, "fatal": fatal, "upstream_sees": _upstream_sees(stage)}


def _ask_case(port: int, case: Case) -> tuple[int, str | None]:
    """The (last) status, and what was wrong."""
    answer = ask(port, case.token)
    match case.expect:
        case Expect.EITHER:
            return answer.status, None
        case Expect.PASS:
            return answer.status, _not_passed(answer)
        case Expect.REFUSE:
            return answer.status, _not_refused(answer)
        case Expect.PASS_UNTIL_EXPIRY:
            early = _not_passed(answer)
            time.sleep(HELD_FOR)
            late = ask(port, case.token)
            return late.status, early or _not_refused(late)


def _not_passed(answer: Answer) -> str | None:
    return None if answer == Answer(200, BODY) else f"{answer.status}, not 200 with the upstream's body"


def _not_refused(answer: Answer) -> str | None:
    refused = answer.status in _REFUSALS and answer.body != BODY
    return None if refused else f"{answer.status}, not 401 or 403"


def _without_check(stage: Stage) -> list[str]:
    """Where no token is wanted, none is needed."""
    problem = _not_passed(ask(stage.port, host=PUBLIC_HOST)) if PUBLIC in stage.target.offers else None
    return [f"public host: {problem}"] if problem else []


def _bodies(stage: Stage) -> list[str]:
    if BODIES not in stage.target.offers:
        return []
    token, size = stage.material.hot_token, 200_000
    down = ask(stage.port, token, f"/bytes/{size}")
    up = ask(stage.port, token, body=b"x" * size)
    found = [] if (down.status, len(down.body)) == (200, size) else [f"download: {down.status} with {len(down.body)} bytes"]
    return found + ([] if up == Answer(200, BODY) else [f"upload: {up.status}"])


def _upstream_sees(stage: Stage) -> list[str]:
    """The head of a good request as it arrives, without its token."""
    if isinstance(stage.target, Direct):
        return []
    ask(stage.port, stage.material.hot_token)
    head = ask(stage.port, stage.material.hot_token, "/__last").body.decode("latin-1")
    return [re.sub(r"(?i)(authorization: bearer ).*", r"\1…", line) for line in head.split("\r\n") if line]
