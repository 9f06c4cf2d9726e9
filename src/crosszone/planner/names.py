"""Names that a job file may only be held against above `spec`, which stands beside `frameworks`."""

from crosszone.core.problem import Problem
from crosszone.errors import Finding, UnknownName, nearest_hint
from crosszone.frameworks import framework_names


def check_framework_names(problem: Problem) -> None:
    """The job file's frameworks exist. UnknownName with all that do not."""
    written = [("framework.name", problem.framework)] if problem.framework is not None else []
    written += [(f"constraints.frameworks[{i}]", name) for i, name in enumerate(problem.constraints.frameworks)]
    known = framework_names()
    findings = [
        Finding(
            code=UnknownName.default_code,
            message=f'unknown framework "{name}".',
            where=where,
            hint=nearest_hint(name, known),
        )
        for where, name in written
        if name not in known
    ]
    if findings:
        raise UnknownName(*findings)
