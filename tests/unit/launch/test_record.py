"""The record of a run is whole or not there."""

import json

import pytest

from crosszone.core.run import ProcessIdentity, Run, RunFailure
from crosszone.errors import CrossZoneError
from crosszone.launch import record
from crosszone.launch.record import read_measurement, read_run, write_measurement, write_run

RUN = Run(
    run_id="20261121T070000Z-abcdef",
    backend="local",
    framework="ddp",
    world_size=2,
    num_steps=None,
    python="python3",
    log_folder="logs/x",
    log_sizes=(("rank-0.jsonl", 12),),
    grace_seconds=30.0,
    supervisor=ProcessIdentity(pid=1, start_ticks=2, boot_id="b"),
    started_seconds=1.5,
    state="failed",
    exit_code=1,
    failure=RunFailure(rank=1, exit_code=-9, num_restarts=3, log="logs/x", lines=("a", "北京")),
)


def test_what_is_written_is_what_is_read(tmp_path) -> None:
    assert read_run(tmp_path) is None
    write_run(tmp_path, RUN)
    assert read_run(tmp_path) == RUN
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_write_that_fails_leaves_the_one_before(tmp_path, monkeypatch) -> None:
    write_run(tmp_path, RUN)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record.json, "dump", full)
    with pytest.raises(OSError, match="No space left"):
        write_run(tmp_path, RUN)
    assert read_run(tmp_path) == RUN
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_no_measurement_takes_the_one_before_away(tmp_path) -> None:
    (tmp_path / "measurement.json").write_text("{}")
    write_measurement(tmp_path, None)
    assert read_measurement(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"run_id": "x", "unheard_of": 1})])
def test_what_another_version_wrote_is_named_with_its_place(tmp_path, text) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(CrossZoneError, match="damaged, or written by another version") as caught:
        read_run(tmp_path)
    assert caught.value.findings[0].where == str(tmp_path / "run.json")
