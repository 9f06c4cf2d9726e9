"""The server for long: cases by the ten thousand, fifty people for ten minutes, a day of outages; in `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.soak


def run(program):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/server" / program)], capture_output=True, text=True, check=False
    )


def test_twenty_thousand_requests_meet_no_mistake_of_ours():
    found = run("fuzz.py")
    assert found.returncode == 0, found.stdout
    assert "20,000 cases or more: yes" in found.stdout


def test_a_day_of_outages_brings_no_recovery_of_a_run_that_lives():
    found = run("blackouts.py")
    assert found.returncode == 0, found.stdout + found.stderr


def test_fifty_people_do_not_wait():
    found = run("load.py")
    assert "99 of 100 within 200 ms, no error: yes" in found.stdout, found.stdout
