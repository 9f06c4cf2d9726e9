"""Names that a job file may only be held against above `spec`, which stands beside `frameworks`."""

from collections.abc import Iterable

from crosszone.core.problem import Problem
from crosszone.errors import Finding, SpecError, UnknownName, nearest_hint
from crosszone.frameworks import framework_names
from crosszone.spec import JobFile


def read_named(job: JobFile) -> Problem:
    """The problem that a job file states. SpecError with everything that is wrong, unknown frameworks among it."""
    try:
        problem = job.problem()
    except SpecError as error:
        unknown = _unknown(job.written_frameworks())
        raise SpecError(*error.findings, *unknown) from None if unknown else error
    check_framework_names(problem)
    return problem


def check_framework_names(problem: Problem) -> None:
    """The job file's frameworks exist. UnknownName with all that do not."""
    written = [("framework.name", problem.framework)] if problem.framework is not None else []
    written += [(f"constraints.frameworks[{i}]", name) for i, name in enumerate(problem.constraints.frameworks)]
    findings = _unknown(written)
    if findings:
        raise UnknownName(*findings)


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
