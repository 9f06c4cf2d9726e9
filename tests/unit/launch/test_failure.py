"""Which rank failed first, from what torchrun and the ranks left behind."""

import os
import signal
from collections.abc import Callable

import pytest

from crosszone.launch.failure import NUM_LINES, LauncherOutput, first_failure, last_lines, rank_folder

TABLE = """[rank 0] its last words
============================================================
entry.py FAILED
------------------------------------------------------------
Failures:
{others}
------------------------------------------------------------
Root Cause (first observed failure):
{root}
============================================================
"""
ENTRY = """[{index}]:
  time      : 2026-11-21_06:46:50
  host      : localhost
  rank      : {rank} (local_rank: {local_rank})
  exitcode  : {exit_code} (pid: 4711){signal_name}
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"""
LOST = "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:61277"

Left = Callable[..., LauncherOutput]


@pytest.fixture
def left(tmp_path) -> Left:
    """What a torchrun leaves whose ranks failed with these (exit code, last words, seconds), the first named by it."""

    def leave(
        failed: dict[int, tuple[int, str, float]], *, first_rank: int = 0, attempt: int = 0, name: str = "0"
    ) -> LauncherOutput:
        ranks = tmp_path / "logs" / name / "ranks"
        entries = []
        for index, (rank, (exit_code, words, seconds)) in enumerate(failed.items()):
            local_rank = rank - first_rank
            folder = ranks / "none_x" / f"attempt_{attempt}" / str(local_rank)
            folder.mkdir(parents=True)
            for stream, text in (("stderr", words), ("stdout", "said\n")):
                (folder / f"{stream}.log").write_text(text)
                os.utime(folder / f"{stream}.log", (seconds, seconds))
            signal_name = f" ({signal.Signals(-exit_code).name})" if exit_code < 0 else ""
            entries.append(
                ENTRY.format(
                    index=index, rank=rank, local_rank=local_rank, exit_code=exit_code, signal_name=signal_name
                )
            )
        log = tmp_path / "logs" / name / "output.log"
        log.write_text(TABLE.format(root=entries[0], others="\n".join(entries[1:]) or "  <NO_OTHER_FAILURES>"))
        return LauncherOutput(log=log, ranks=ranks)

    return leave


def test_who_wrote_first_failed_first_whomever_torchrun_names(left, tmp_path) -> None:
    found = first_failure(
        [left({0: (1, "Error: mine too\n", 100.3), 1: (1, "Traceback:\nValueError: bad\n", 100.2)})],
        output=tmp_path / "output.log",
        folder=tmp_path,
        exit_code=1,
    )
    assert (found.rank, found.exit_code, found.num_restarts) == (1, 1, 0)
    assert found.lines == ("Traceback:", "ValueError: bad")
    assert found.log == "logs/0/ranks/none_x/attempt_0/1/stderr.log"


def test_a_rank_that_speaks_of_a_lost_peer_comes_after_the_peer(left, tmp_path) -> None:
    output = left({0: (1, f"{LOST}\n", 100.1), 2: (3, "out of data\n", 100.4)})
    found = first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=1)
    assert (found.rank, found.exit_code) == (2, 3)


@pytest.mark.parametrize("asked", [-15, 143])
def test_ranks_that_torchrun_ended_did_not_fail_first(left, tmp_path, asked) -> None:
    output = left({0: (asked, "", 50.0), 1: (1, "ValueError: bad\n", 100.0)})
    assert first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=1).rank == 1


def test_a_rank_that_was_killed_silently_is_named_with_what_it_said_before(left, tmp_path) -> None:
    output = left({0: (1, f"{LOST}\n", 100.0), 1: (-9, "", 90.0)})
    found = first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=1)
    assert (found.rank, found.exit_code, found.lines) == (1, -9, ("said",))


def test_the_newest_start_of_the_ranks_counts(left, tmp_path) -> None:
    left({0: (1, "the first time\n", 10.0)}, attempt=2)
    output = left({0: (1, "the last time\n", 20.0)}, attempt=10)
    found = first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=1)
    assert (found.num_restarts, found.lines) == (10, ("the last time",))


def test_ranks_of_other_nodes_are_found_by_their_number_there(left, tmp_path) -> None:
    outputs = [
        left({0: (1, f"{LOST}\n", 100.0)}, name="agent-0"),
        left({2: (1, "ValueError: bad\n", 100.1)}, name="agent-1", first_rank=2),
    ]
    found = first_failure(outputs, output=tmp_path / "output.log", folder=tmp_path, exit_code=1)
    assert (found.rank, found.log) == (2, "logs/agent-1/ranks/none_x/attempt_0/0/stderr.log")


def test_without_a_table_the_program_that_started_them_says_it(tmp_path) -> None:
    log = tmp_path / "output.log"
    log.write_text("\n".join(str(number) for number in range(100)))
    output = LauncherOutput(log=log, ranks=tmp_path / "ranks")
    found = first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=4)
    assert (found.rank, found.exit_code, found.log) == (None, 4, "output.log")
    assert found.lines == tuple(str(number) for number in range(100 - NUM_LINES, 100))


def test_nothing_was_left_at_all(tmp_path) -> None:
    output = LauncherOutput(log=tmp_path / "output.log", ranks=tmp_path / "ranks")
    found = first_failure([output], output=tmp_path / "output.log", folder=tmp_path, exit_code=-9)
    assert (found.rank, found.exit_code, found.log, found.lines) == (None, -9, "output.log", ())


def test_the_end_of_a_long_log_is_read(tmp_path) -> None:
    log = tmp_path / "output.log"
    log.write_bytes(b"\xff" * 300_000 + "\nend 完\n".encode())
    assert last_lines(log)[-1] == "end 完"


def test_a_rank_without_words_has_no_folder(tmp_path) -> None:
    assert rank_folder(tmp_path, 0) is None
    (tmp_path / "none_x" / "attempt_0" / "0").mkdir(parents=True)
    assert rank_folder(tmp_path, 0) == tmp_path / "none_x" / "attempt_0" / "0"
    assert rank_folder(tmp_path, 1) is None
