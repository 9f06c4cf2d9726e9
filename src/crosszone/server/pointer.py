"""Places in words, as `cluster.zones[1].gpu`, to JSON Pointers (RFC 6901) into a request's body."""

from __future__ import annotations

import re
from typing import Any

_STEPS = re.compile(r"[^.\[\]]+")


def pointer(where: str, body: Any) -> str | None:
    """Where in `body` the place `where` is: the nearest value around it that is there. None: not in the body.

    A place is of the job, or of an option, which messages call as the command line does: `--steps`, or `--plan: tp`.
    A value that was set by `set` is where it was set.
    """
    if not isinstance(body, dict):
        return None
    steps = _existing(_steps(where, body), body)
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _steps(where: str, body: dict[str, Any]) -> list[str]:
    settings = body.get("set")
    if isinstance(settings, list):
        for index, setting in enumerate(settings):
            if where and isinstance(setting, str) and setting.partition("=")[0].strip() == where:
                return ["set", str(index)]
    steps = _STEPS.findall(where.replace(": ", "."))
    if not steps:
        return []
    if steps[0].startswith("--"):
        option = steps[0].removeprefix("--").replace("-", "_")
        inside = ["calibrations"] if option == "calibration" and len(steps) > 1 else []
        return [option, *inside, *steps[1:]]
    job = body.get("job")
    if isinstance(job, str) or (isinstance(job, dict) and steps[0] in job):
        return ["job", *steps]
    return steps if steps[0] in body else ["job", *steps]


def _existing(steps: list[str], value: Any) -> list[str]:
    """As many of `steps` as lead somewhere."""
    found: list[str] = []
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            break
        found.append(step)
    return found
