"""Names that a job file may only be held against above `spec`, which stands beside `frameworks`."""

from collections.abc import Iterable

from crosszone.core.problem import Problem
from crosszone.errors import Finding, SpecError, UnknownName, nearest_hint
from crosszone.frameworks import framework_names
from crosszone.spec import JobFile

NAME, AT_HAND = "framework.name", "constraints.frameworks"


def read_named(job: JobFile) -> Problem:
    """The problem that a job file states. SpecError with everything that is wrong, its frameworks' names among it."""
    try:
        problem = job.problem()
    except SpecError as error:
        written = job.written_frameworks()
        found = _unknown(written) or _contradiction(written)
        raise SpecError(*error.findings, *found) from None if found else error
    check_framework_names(problem)
    return problem


def check_framework_names(problem: Problem) -> None:
    """The job file's frameworks exist, and its own is one of those at hand.

    Errors: UnknownName with all that do not exist; else SpecError.
    """
    written = [(NAME, problem.framework)] if problem.framework is not None else []
    written += [(f"{AT_HAND}[{i}]", name) for i, name in enumerate(problem.constraints.frameworks)]
    unknown = _unknown(written)
    if unknown:
        raise UnknownName(*unknown)
    contradiction = _contradiction(written)
    if contradiction:
        raise SpecError(*contradiction)


def _unknown(written: Iterable[tuple[str, str]]) -> list[Finding]:
    known = framework_names()
    return [
        Finding(
            code=UnknownName.default_code,
            message=f'unknown framework "{name}".',
            where=where,
            hint=nearest_hint(name, known),
        )
        for where, name in written
        if name not in known
    ]


def _contradiction(written: Iterable[tuple[str, str]]) -> list[Finding]:
    """Where the framework that is fixed is not at hand."""
    fixed = [name for where, name in written if where == NAME]
    at_hand = [name for where, name in written if where != NAME]
    if not at_hand or set(fixed) <= set(at_hand):
        return []
    message = f"{NAME} is {fixed[0]}, which is not among {AT_HAND}: {', '.join(at_hand)}."
    hint = f"Add {fixed[0]} to {AT_HAND}, or leave {NAME} out."
    return [Finding(code="conflict", message=message, where=NAME, hint=hint)]
