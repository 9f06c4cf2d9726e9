"""The command line starts fast because it loads heavy libraries only where they are used."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "pydantic", "ruamel", "torch", "scipy", "transformers", "fastapi", "sqlalchemy")

RUN_HELP = """
import sys
sys.argv = ["crosszone", "--help"]
try:
    from crosszone.cli import main
    main()
except SystemExit:
    pass
"""


def loaded_by(program: str) -> set[str]:
    """The heavy libraries in sys.modules after `program` has run in a fresh interpreter."""
    report = "\nimport json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", program + report]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(HEAVY) & {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import crosszone") == set()


def test_errors_and_units_load_nothing_heavy():
    assert loaded_by("import crosszone.errors, crosszone.units") == set()


@pytest.mark.skipif(importlib.util.find_spec("crosszone.cli") is None, reason="there is no command line yet")
def test_help_loads_nothing_heavy():
    assert loaded_by(RUN_HELP) == set()


def test_a_heavy_import_is_seen():
    assert loaded_by("import numpy") == {"numpy"}
