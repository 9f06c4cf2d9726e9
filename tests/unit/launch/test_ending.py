"""A stopped run is well only where what it trained is in a checkpoint; what is not known is not said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crosszone.core.run import ProcessIdentity, Run, UnsavedSteps
from crosszone.launch.ending import FORCED, NO_CHECKPOINTS, as_stopped
from crosszone.launch.step_log import rank_steps

RUN = Run(
    run_id="20260101T000000Z-abcdef",
    backend="local",
    framework="ddp",
    world_size=2,
    num_steps=10,
    python="python3",
    log_folder="logs/x",
    log_sizes=(),
    grace_seconds=60.0,
    supervisor=ProcessIdentity(pid=1, start_ticks=0, boot_id=""),
    started_seconds=0.0,
    state="running",
)
DISK_FULL, PEER_GONE = "OSError: [Errno 28] No space left on device", "RuntimeError: Connection closed by peer"


def event(name: str, number: int, **more: str) -> str:
    return json.dumps({"event": name, "step": number, **more}) + "\n"


@pytest.fixture
def stopped(tmp_path) -> Callable[..., Run]:
    """The record of a run that was asked to stop, whose ranks logged these lines."""

    def ended(*logs: str, **how: bool) -> Run:
        for rank, text in enumerate(logs):
            Path(tmp_path, f"rank-{rank}.jsonl").write_text(text)
        return as_stopped(RUN, rank_steps(tmp_path, ()), exit_code=1, **how)

    return ended


def test_what_is_in_a_checkpoint_is_well(stopped, start, step) -> None:
    found = stopped(start(saves=True) + step(1, 0.5) + step(2, 0.5) + event("checkpoint", 2) + event("stopped", 2))
    assert (found.state, found.unsaved, found.exit_code) == ("stopped", None, 1)
    assert found.ended_seconds is not None


def test_before_the_first_step_there_is_nothing_to_save(stopped, start) -> None:
    assert stopped().state == "stopped"
    assert stopped(start(5, saves=True)).unsaved is None


def test_a_rank_that_could_not_save_is_named_before_those_that_lost_it(stopped, start, step) -> None:
    begin = start(4, saves=True) + step(4, 0.5) + event("checkpoint", 4) + step(5, 0.5) + step(6, 0.5)
    found = stopped(begin + event("unsaved", 6, reason=PEER_GONE), begin + event("unsaved", 6, reason=DISK_FULL))
    assert found.state == "unsaved"
    assert found.unsaved == UnsavedSteps(first_step=5, last_step=6, rank=1, reason=DISK_FULL)


def test_ranks_that_were_ended_while_they_saved_say_nothing(stopped, start, step) -> None:
    found = stopped(start(saves=True) + step(1, 0.5))
    assert found.state == "unsaved"
    assert found.unsaved is not None
    assert found.unsaved.rank is None
    assert "ended after 60 s, before they had saved" in found.unsaved.reason


def test_a_problem_before_a_restart_is_over(stopped, start, step) -> None:
    first = start(saves=True) + step(1, 0.5) + event("unsaved", 1, reason=DISK_FULL)
    assert stopped(first + start(saves=True) + step(1, 0.5) + event("checkpoint", 1)).state == "stopped"
    assert stopped(first + start(saves=True)).state == "stopped"


def test_who_asks_for_it_gets_no_warning_but_is_told(stopped, start, step) -> None:
    forced = stopped(start(saves=True) + step(1, 0.5), is_forced=True)
    assert (forced.state, forced.unsaved) == (
        "stopped", UnsavedSteps(first_step=1, last_step=1, rank=None, reason=FORCED)
    )  # fmt: skip
    without = stopped(start(saves=False) + step(1, 0.5))
    assert without.unsaved is not None
    assert (without.state, without.unsaved.reason) == ("stopped", NO_CHECKPOINTS)


def test_of_another_trainer_nothing_is_claimed(stopped, start, step) -> None:
    found = stopped(start() + step(1, 0.5))
    assert (found.state, found.unsaved) == ("stopped", None)


def test_what_could_not_be_seen_is_lost(stopped, start, step) -> None:
    found = stopped(start(saves=True) + step(1, 0.5), is_seen=False)
    assert (found.state, found.unsaved) == ("lost", None)
