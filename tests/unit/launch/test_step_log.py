"""Steps are read as they come, and become a measurement under the names of a prediction."""

import dataclasses
import json
from pathlib import Path

import pytest

from crosszone.core.measurement import Measurement
from crosszone.core.prediction import Prediction
from crosszone.launch import step_log
from crosszone.launch.step_log import log_sizes, measurement, quantile, rank_steps, recent_steps


def write(logs: Path, rank: int, *lines: str) -> None:
    with (logs / f"rank-{rank}.jsonl").open("a") as file:
        file.writelines(lines)


def test_the_names_are_those_of_a_prediction() -> None:
    predicted = {field.name for field in dataclasses.fields(Prediction)}
    shared = {
        *("fingerprint", "framework", "num_gpus", "num_parameters", "num_microbatches", "global_batch_tokens"),
        *("step_seconds", "tokens_per_second", "tokens_per_second_per_gpu", "model_flop_per_second_per_gpu", "memory"),
    }
    assert shared <= predicted
    assert shared <= {field.name for field in dataclasses.fields(Measurement)}


def test_a_step_lasts_as_long_as_on_its_slowest_rank_and_the_first_does_not_count(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0), step(2, 0.2), step(3, 0.4), step(4, 0.3))
    write(tmp_path, 1, start(), step(1, 9.0), step(2, 0.5, rank=1), step(3, 0.1, rank=1), step(4, 0.3, rank=1))
    found = measurement(rank_steps(tmp_path, ()))
    assert found is not None
    assert found.num_steps == 3
    assert found.step_seconds == 0.4  # of 0.5, 0.4, 0.3
    assert (found.low_seconds, found.high_seconds) == (0.3, 0.5)
    assert [(rank.rank, rank.step_seconds) for rank in found.ranks] == [(0, 0.3), (1, 0.3)]
    assert found.tokens_per_second == pytest.approx(400.0 / 0.4)
    assert found.tokens_per_second_per_gpu == pytest.approx(200.0 / 0.4)
    assert found.model_flop_per_second_per_gpu == pytest.approx(1e10 / 0.4)
    assert found.memory.peak_bytes == 1e9 + 1
    assert found.memory.capacity_bytes is None
    assert (found.first_loss, found.last_loss) == (9.0, 6.0)
    assert (found.fingerprint, found.num_gpus, found.global_batch_tokens) == ("abc", 2, 400)


def test_what_zones_wait_for_each_other_is_a_part_of_every_step(tmp_path, start, step) -> None:
    exchanges = {3: 0.6, 5: 0.2, 7: 0.4}
    logged = [json.loads(step(number, 0.1 + exchanges.get(number, 0.0))) for number in range(1, 8)]
    told = [row | {"exchange_seconds": exchanges.get(row["step"], 0.0)} for row in logged]
    begun = json.dumps(json.loads(start()) | {"exchange_every_steps": 2}) + "\n"
    write(tmp_path, 0, begun, *(json.dumps(row) + "\n" for row in told))
    found = measurement(rank_steps(tmp_path, ()))
    assert found is not None
    assert found.step_seconds == pytest.approx(0.1 + (0.6 + 0.2 + 0.4) / 6)
    assert found.high_seconds == pytest.approx(found.low_seconds)


def test_a_run_whose_zones_have_not_ended_a_step_has_no_speed_yet(tmp_path, start) -> None:
    write(tmp_path, 0, json.dumps(json.loads(start()) | {"exchange_every_steps": 2}) + "\n")
    assert rank_steps(tmp_path, ())[0].step_seconds is None


def test_each_restart_has_a_first_step_that_does_not_count_and_repeats_others(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0), step(2, 0.2), step(3, 0.2))
    write(tmp_path, 0, start(3), step(3, 8.0), step(4, 0.6), step(5, 0.6))
    steps = rank_steps(tmp_path, ())[0]
    assert list(steps.counted()) == [2, 4, 5]
    assert steps.step_seconds == 0.6


def test_a_single_step_is_better_than_none(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0))
    found = measurement(rank_steps(tmp_path, ()))
    assert found is not None
    assert (found.num_steps, found.step_seconds) == (1, 9.0)


def test_steps_of_an_earlier_run_are_not_this_ones(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0), step(2, 9.0))
    sizes = log_sizes(tmp_path)
    assert rank_steps(tmp_path, sizes) == {}
    assert recent_steps(tmp_path, sizes) is None
    assert measurement(rank_steps(tmp_path, sizes)) is None
    write(tmp_path, 0, start(3), step(3, 1.0), step(4, 0.1))
    write(tmp_path, 1, start(3), step(3, 1.0), step(4, 0.1))
    found = measurement(rank_steps(tmp_path, sizes))
    assert found is not None
    assert (found.num_steps, found.step_seconds, len(found.ranks)) == (1, 0.1, 2)


def test_a_log_that_was_taken_away_starts_anew(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), *(step(number, 9.0) for number in range(1, 9)))
    sizes = log_sizes(tmp_path)
    (tmp_path / "rank-0.jsonl").unlink()
    write(tmp_path, 0, start(), step(1, 1.0), step(2, 0.1))
    assert rank_steps(tmp_path, sizes)[0].step_seconds == 0.1


def test_half_a_line_waits_for_its_rest(tmp_path, start, step) -> None:
    line = step(1, 0.5)
    write(tmp_path, 0, start(), line[:40])
    steps = rank_steps(tmp_path, ())[0]
    assert steps.newest is None
    write(tmp_path, 0, line[40:])
    steps.read()
    assert steps.newest is not None
    assert steps.newest["step"] == 1
    steps.read()
    assert len(steps.seconds) == 1


def test_lines_of_others_are_passed_over(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), "killed while it wr\n", "[1]\n", '{"event": "checkpoint"}\n', step(1, 0.5))
    (tmp_path / "rank-x.jsonl").write_text(step(1, 0.5))
    (tmp_path / "other.jsonl").write_text(step(1, 0.5))
    found = rank_steps(tmp_path, ())
    assert list(found) == [0]
    assert len(found[0].seconds) == 1


def test_the_lowest_rank_that_writes_speaks_for_all(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0))  # of an earlier run, of more zones
    sizes = log_sizes(tmp_path)
    write(tmp_path, 3, start(), step(1, 0.5))
    write(tmp_path, 2, start(), step(1, 0.25))
    found = recent_steps(tmp_path, sizes)
    assert found is not None
    assert found.path.name == "rank-2.jsonl"


def test_a_long_log_is_read_from_its_end_and_kept_in_little(tmp_path, monkeypatch, start, step) -> None:
    monkeypatch.setattr(step_log, "RECENT_BYTES", 2000)
    monkeypatch.setattr(step_log, "MOST_STEPS", 5)
    write(tmp_path, 0, start(), *(step(number, float(number)) for number in range(1, 101)))
    recent = recent_steps(tmp_path, ())
    assert recent is not None
    assert recent.newest is not None
    assert recent.newest["step"] == 100
    assert recent.first is not None
    assert recent.first["step"] > 90, "the rest was not read"
    whole = measurement(rank_steps(tmp_path, ()))
    assert whole is not None
    assert (whole.num_steps, whole.step_seconds, whole.first_loss) == (5, 98.0, 9.0)


def test_after_a_restart_the_newest_step_is_the_one_it_is_at(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0), step(2, 0.2), step(3, 0.2), start(2), step(2, 9.0))
    found = recent_steps(tmp_path, ())
    assert found is not None
    assert found.newest is not None
    assert found.newest["step"] == 2


def test_restarts_and_the_steps_that_they_lost_are_counted(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(attempt=0), step(1, 9.0), step(2, 0.2), step(3, 0.2))
    assert (rank_steps(tmp_path, ())[0].num_restarts, rank_steps(tmp_path, ())[0].num_lost_steps) == (0, 0)
    write(tmp_path, 0, start(2, attempt=1), step(2, 9.0), start(3, attempt=2), step(3, 9.0))
    found = rank_steps(tmp_path, ())[0]
    assert (found.num_restarts, found.num_lost_steps) == (2, 2)


def test_a_run_that_goes_on_from_an_earlier_one_has_lost_nothing(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(5, attempt=0), step(5, 9.0))
    assert rank_steps(tmp_path, ())[0].num_lost_steps == 0


def test_a_program_that_does_not_tell_of_restarts_has_none_that_are_known(tmp_path, start, step) -> None:
    write(tmp_path, 0, start(), step(1, 9.0))
    assert rank_steps(tmp_path, ())[0].num_restarts is None


def test_ranks_are_in_order(tmp_path, start, step) -> None:
    for rank in (10, 9, 2):
        write(tmp_path, rank, start(), step(1, 0.5))
    assert list(rank_steps(tmp_path, ())) == [2, 9, 10]


@pytest.mark.parametrize(("share", "value"), [(0.05, 1), (0.95, 19), (0.5, 10), (0.0, 1), (1.0, 20)])
def test_quantiles_are_values_that_were_measured(share, value) -> None:
    assert quantile(list(range(20, 0, -1)), share) == value
