"""Checkpoints on disk: which are whole, and what is said where a run cannot go on from one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crosszone.checkpoints import check_continues, main, read_manifest, run_state, whole_checkpoints
from crosszone.core.checkpoint import Manifest
from crosszone.core.codec import to_json
from crosszone.core.train import TrainCheckpoint, TrainConfig, TrainData
from crosszone.errors import SpecError
from tiny_training import tiny_training

CONFIG = tiny_training(
    framework="deepspeed",
    deepspeed_config="ds_config.json",
    model=None,
    model_config="config.json",
    rank_microbatches=(1, 1),
    data=TrainData(path="tokens.bin"),
)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokens.bin").write_bytes(bytes(2000))
    return tmp_path


def manifest(folder: Path, **changes) -> Manifest:
    saved = Manifest(
        format="deepspeed",
        step=2,
        consumed_samples=8,
        num_ranks=2,
        state_fields=run_state(CONFIG, folder),
        files=(),
    )
    return replace(saved, **changes)


def refusal(folder: Path, saved: Manifest, config: TrainConfig = CONFIG, num_ranks: int = 2) -> str:
    with pytest.raises(SpecError) as caught:
        check_continues(saved, Path("step-00000002"), config, state=run_state(config, folder), num_ranks=num_ranks)
    return str(caught.value)


def test_the_newest_whole_one_comes_first(tmp_path) -> None:
    assert whole_checkpoints(tmp_path / "absent") == []
    for name in ("step-00000002", "step-00000010", ".writing-step-00000012"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "step-00000020").mkdir()
    assert [path.name for path in whole_checkpoints(tmp_path)] == ["step-00000010", "step-00000002"]


def test_a_run_goes_on_from_its_own(folder) -> None:
    (folder / "copy.bin").write_bytes(bytes(2000))
    longer = replace(CONFIG, num_steps=9, data=TrainData(path="copy.bin"))
    check_continues(manifest(folder), folder, longer, state=run_state(longer, folder), num_ranks=2)


def test_what_differs_is_told_at_once(folder) -> None:
    other = replace(CONFIG, seed=3, sequence_length=8)
    assert refusal(folder, manifest(folder), other) == (
        "step-00000002: the checkpoint is of another run: seed was 0, and is 3; sequence_length was 16, and is 8. "
        "Take another checkpoint.folder, or the configuration that wrote it."
    )


def test_formats_and_ranks_of_deepspeed(folder) -> None:
    assert "is in format dcp, and this run reads deepspeed." in refusal(folder, manifest(folder, format="dcp"))
    assert "was written by 2 ranks, but 4 run." in refusal(folder, manifest(folder), num_ranks=4)


def test_a_file_that_is_not_there(folder) -> None:
    (folder / "tokens.bin").unlink()
    with pytest.raises(SpecError, match=r"tokens.bin: cannot read the token file: No such file"):
        run_state(CONFIG, folder)


def test_manifests(folder) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(to_json(manifest(folder))))
    assert read_manifest(folder) == manifest(folder)
    path.write_text(json.dumps({"schema_version": 1, "format": "dcp", "state_fingerprint": "0123"}))
    with pytest.raises(SpecError, match=r"is of version 1, but this program reads 2\. Go on with the bundle"):
        read_manifest(folder)
    path.write_text("{")
    with pytest.raises(SpecError, match="is no JSON"):
        read_manifest(folder)
    with pytest.raises(SpecError, match="cannot read the checkpoint"):
        read_manifest(folder / "absent")


def test_as_a_program_it_says_whether_ranks_may_start(folder, capsys) -> None:
    config = folder / "train.json"
    config.write_text(json.dumps(to_json(replace(CONFIG, checkpoint=TrainCheckpoint(folder="saved", every_steps=1)))))
    assert main([str(config), "2"]) == 0
    newest = folder / "saved/step-00000002"
    newest.mkdir(parents=True)
    (newest / "manifest.json").write_text(json.dumps(to_json(manifest(folder))))
    assert main([str(config), "2"]) == 0
    assert capsys.readouterr().err == ""
    assert main([str(config), "4"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {newest}: the checkpoint was written by 2 ranks, but 4 run.")
