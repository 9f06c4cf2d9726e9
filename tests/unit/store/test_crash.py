"""What a process was told is committed is there after the process was killed in the middle of its work."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from crosszone.store import journal
from crosszone.store.database import Database

WRITER = """
import sys
from crosszone.store import journal
from crosszone.store.database import Database

database = Database(sys.argv[1])
for number in range(int(sys.argv[2]), 1_000_000):
    with database.writing() as connection:
        journal.tell(connection, "half", str(number), {}, now_seconds=0.0)
        journal.tell(connection, "whole", str(number), {}, now_seconds=0.0)
    print(number, flush=True)
"""


def killed(url, first, seconds):
    """Let a process write from `first` on, kill it some time after its first commit; the last number it told."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, url, str(first)], stdout=subprocess.PIPE, text=True)
    told = [int(process.stdout.readline())]
    time.sleep(seconds)
    process.kill()
    told += [int(line) for line in process.stdout.read().split("\n") if line.strip()]
    process.wait()
    return told[-1]


def check(url, num_kills):
    drawn, last = random.Random(1), -2
    for _ in range(num_kills):
        last = killed(url, last + 2, drawn.random() / 5)  # one more may be committed than was told
        database = Database(url)
        with database.reading() as connection:
            events = []
            while found := journal.events_after(connection, events[-1].sequence if events else 0):
                events += found
        database.close()
        numbers = [int(event.subject_id) for event in events if event.kind == "whole"]
        assert numbers == [int(event.subject_id) for event in events if event.kind == "half"]
        assert numbers[-1] in (last, last + 1)
        assert len(set(numbers)) == len(numbers)
        last = numbers[-1]


def test_nothing_that_was_told_is_lost(url):
    check(url, 2)


@pytest.mark.soak
def test_nothing_that_was_told_is_lost_however_often(url):
    check(url, 250)
