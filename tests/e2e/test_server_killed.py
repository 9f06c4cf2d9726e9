"""What a server said is there after it was killed: a few of the kills of benchmarks/server/kill.py."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks/server/kill.py"


def kill(num_kills: int) -> str:
    done = subprocess.run([sys.executable, str(PROGRAM), str(num_kills)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_task_is_lost_and_none_is_there_twice() -> None:
    said = kill(2)
    assert "of these lost                           0" in said
    assert "keys with more than one task            0" in said


@pytest.mark.soak
def test_no_task_is_lost_however_often_it_is_killed() -> None:
    kill(500)
