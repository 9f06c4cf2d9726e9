"""Whether this machine has what a local bundle needs, told before anything starts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crosszone.errors import Finding, PreflightFailed
from crosszone.launch.bundle_folder import REQUIREMENTS_PATH, BundleFolder
from crosszone.processes import answer_of

PYTHON_VARIABLE = "PYTHON"
"""Names the interpreter to the bundle's own programs too."""
LOOK_SECONDS = 300.0
"""torch takes a minute to import from a slow network file system."""
DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LOOK = """
import importlib.metadata, json, sys
found = {"version": sys.version.split()[0], "missing": [], "num_gpus": 0, "fault": ""}
for name in sys.argv[1:]:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found["missing"].append(name)
try:
    import torch
    found["num_gpus"] = torch.cuda.device_count()
except Exception as error:
    found["fault"] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(found))
"""
"""Asked of the interpreter itself. torch is imported: one that is installed may still lack its libraries."""


def chosen_python(asked: str | None) -> str:
    """The interpreter of the ranks: what was asked for, `$PYTHON`, our own where it has torch, or `python3`.

    Errors: PreflightFailed where there is no such program.
    """
    named = asked or os.environ.get(PYTHON_VARIABLE)
    wanted = named or (sys.executable if find_spec("torch") is not None else "python3")
    found = shutil.which(wanted)
    if found is None:
        raise PreflightFailed.of(
            f'there is no program "{wanted}".',
            where="--python" if asked else f"${PYTHON_VARIABLE}" if named else "",
            hint="Give --python PATH, a Python that has torch.",
            code="no_python",
        )
    return str(Path(found).absolute())


def check_python(bundle: BundleFolder, python: str) -> None:
    """PreflightFailed with all that `python` lacks for the ranks of `bundle`."""
    findings = tuple(_lacks(bundle, python, _look(bundle, python)))
    if findings:
        raise PreflightFailed(*findings)


def _look(bundle: BundleFolder, python: str) -> dict[str, Any] | str:
    """What the interpreter says of itself, or why it says nothing."""
    names = () if bundle.has_own_program else _distributions(bundle)
    try:
        done = answer_of([python, "-c", LOOK, *names], seconds=LOOK_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"it ended with {done.returncode}: {last}"
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _distributions(bundle: BundleFolder) -> tuple[str, ...]:
    """Names in the bundle's list of requirements."""
    try:
        lines = (bundle.folder / REQUIREMENTS_PATH).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    found = (DISTRIBUTION.match(line) for line in lines if not line.startswith(("#", "-")))
    return tuple(match[0] for match in found if match)


def _lacks(bundle: BundleFolder, python: str, found: dict[str, Any] | str) -> Iterator[Finding]:
    requirements = bundle.folder / REQUIREMENTS_PATH
    install = f"{python} -m pip install -r {requirements}"
    if isinstance(found, str):
        yield _finding("no_python", python, f"it does not work as a Python: {found}.", "Give --python PATH.")
        return
    if "torch" not in found["missing"] and found["fault"]:
        yield _finding("no_torch", python, f"it cannot import torch: {found['fault']}.", f"Install it anew: {install}")
    if found["missing"]:
        yield _finding(
            "missing_package",
            python,
            f"Python {found['version']} lacks {', '.join(found['missing'])}.",
            f"Run: {install}   (or give --python PATH, one that has them)",
        )
    elif bundle.device == "cuda" and not found["fault"] and found["num_gpus"] < bundle.world_size:
        yield _finding(
            "no_gpu",
            python,
            f"its torch sees {found['num_gpus']} GPUs, but the bundle has {bundle.world_size} ranks with one each.",
            "Run it where the GPUs are; `crosszone deploy --device cpu` tries it out on CPUs.",
        )


def _finding(code: str, where: str, message: str, hint: str) -> Finding:
    return Finding(code=code, where=where, message=message, hint=hint)
