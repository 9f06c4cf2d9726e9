"""What is believed of a run from what can be seen: each row of the table of proofs, alone and with another."""

from __future__ import annotations

import dataclasses

import pytest

from crosszone.control.evidence import ALIVE, DEAD, DONE, HALTED, UNBORN, UNKNOWN, Look, verdict
from crosszone.launch.scheduler import SchedulerLook

NOW = 1_763_000_000.0
OLD = NOW - 1000.0
"""Longer ago than four times the 30 s of grace."""


@pytest.fixture
def look(hands, tmp_path):
    """A look at a run that was started long ago; `state` is what its record says, `says` what follows from it."""
    (tmp_path / "logs").mkdir()
    hands.start(tmp_path)
    run = dataclasses.replace(hands.runs[tmp_path]["run"], started_seconds=OLD)

    def make(state, *, says=None, step=None, **seen):
        written = dataclasses.replace(run, state=state)
        return Look(status=hands.status(says or state, written, step), **seen)

    return make


def test_nothing_is_believed_of_what_was_never_started_or_cannot_be_read(hands):
    assert verdict(Look(status=hands.status("never_started", None, None)), now_seconds=NOW).belief == UNBORN
    found = verdict(Look(status=None, reason="stale file handle."), now_seconds=NOW)
    assert (found.belief, found.reason) == (UNKNOWN, "stale file handle.")


TOLD_SILENT = ("told", "silent")


def said(state, num_alive=None):
    return SchedulerLook(state=state, told="it is so.", num_alive=num_alive)


NODES_GONE = (("a", "gone"), ("b", "gone"))
NODES_ENDED = (("a", "0"), ("b", "0"))
NODES_FAILED = (("a", "1"), ("b", "143"))
ONE_UNSEEN = (("a", "unseen"), ("b", "1"))
ENDED_AND_UNSEEN = (("a", "0"), ("b", "unseen"))
ONE_RUNS = (("a", "runs"), ("b", "1"))


@pytest.mark.parametrize(
    ("facts", "belief", "proofs"),
    [
        # Ranks on this machine.
        ({"state": "running", "num_processes": 3}, ALIVE, ()),
        ({"state": "failed", "num_processes": 3, "grown_seconds": OLD}, ALIVE, ()),
        ({"state": "failed", "num_processes": 0}, DEAD, ("recorded", "gone")),
        ({"state": "ended", "num_processes": 0}, DONE, ("recorded", "gone")),
        ({"state": "stopped", "num_processes": 0}, HALTED, ("recorded", "gone")),
        ({"state": "unsaved", "num_processes": 0}, HALTED, ("recorded", "gone")),
        ({"state": "running", "says": "lost", "num_processes": 0}, UNKNOWN, ("gone",)),
        ({"state": "running", "says": "lost", "num_processes": 0, "grown_seconds": NOW}, UNKNOWN, ("gone",)),
        ({"state": "running", "says": "lost", "num_processes": 0, "grown_seconds": OLD}, DEAD, ("gone", "silent")),
        ({"state": "running", "says": "lost", "num_processes": 0, "step": 100}, DONE, ("finished", "gone")),
        ({"state": "failed", "num_processes": None}, UNKNOWN, ("recorded",)),
        # Nodes that ssh reaches.
        ({"state": "running", "num_processes": 0, "nodes": ONE_RUNS}, ALIVE, ()),
        ({"state": "failed", "num_processes": 0, "nodes": NODES_FAILED}, DEAD, ("recorded", "gone")),
        ({"state": "running", "says": "ended", "num_processes": 0, "nodes": NODES_ENDED}, DONE, ("recorded", "gone")),
        ({"state": "running", "says": "failed", "num_processes": 0, "nodes": NODES_GONE}, UNKNOWN, ("gone",)),
        ({"state": "failed", "num_processes": 0, "nodes": ONE_UNSEEN}, DEAD, ("recorded", "parted")),
        ({"state": "running", "says": "lost", "num_processes": 0, "nodes": ONE_UNSEEN}, UNKNOWN, ("parted",)),
        ({"state": "running", "says": "lost", "num_processes": 0, "nodes": ENDED_AND_UNSEEN}, UNKNOWN, ()),
        # A scheduler has it.
        ({"state": "submitted"}, UNKNOWN, ()),
        ({"state": "submitted", "grown_seconds": OLD}, UNKNOWN, ("silent",)),
        ({"state": "submitted", "grown_seconds": NOW, "step": 100}, UNKNOWN, ("finished",)),
        ({"state": "submitted", "grown_seconds": OLD, "step": 100}, DONE, ("finished", "silent")),
        ({"state": "submitted", "grown_seconds": OLD, "step": 99}, UNKNOWN, ("silent",)),
        # Nobody follows it any more, and its scheduler is asked.
        ({"state": "running", "says": "lost", "scheduler": said("runs")}, ALIVE, ()),
        ({"state": "running", "says": "lost", "scheduler": said("unknown")}, UNKNOWN, ()),
        ({"state": "running", "says": "failed", "scheduler": said("failed")}, UNKNOWN, ("told",)),
        ({"state": "running", "says": "ended", "scheduler": said("ended"), "step": 100}, DONE, ("told", "finished")),
        ({"state": "running", "says": "failed", "scheduler": said("failed"), "grown_seconds": OLD}, DEAD, TOLD_SILENT),
        (
            {"state": "running", "says": "failed", "scheduler": said("cancelled"), "grown_seconds": OLD},
            HALTED,
            TOLD_SILENT,
        ),
        (
            {"state": "failed", "scheduler": said("failed")},
            UNKNOWN,
            ("recorded",),
        ),  # the record is the scheduler's word
        ({"state": "failed", "scheduler": said("failed", 0)}, DEAD, ("recorded", "gone")),
        ({"state": "running", "says": "lost", "scheduler": said("ended", 0)}, DONE, ("told", "gone")),
        ({"state": "running", "says": "lost", "scheduler": said("failed", 1)}, ALIVE, ()),
        ({"state": "running", "says": "lost", "scheduler": said("unknown", 0)}, UNKNOWN, ("gone",)),
    ],
)
def test_every_end_takes_two_proofs(look, facts, belief, proofs):
    found = verdict(look(**facts), now_seconds=NOW)
    assert (found.belief, found.proofs) == (belief, proofs)
