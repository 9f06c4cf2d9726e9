"""The trainer as one process: it learns, logs what a prediction has, saves whole checkpoints and goes on exactly."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crosszone.checkpoints import MANIFEST, read_manifest, whole_checkpoints
from crosszone.core.codec import to_json
from crosszone.core.prediction import Memory, Prediction, StageMemory
from crosszone.core.train import TrainCheckpoint, TrainData
from crosszone.errors import CrossZoneError, SpecError
from tiny_training import tiny_training

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.distributed.checkpoint.api import CheckpointException  # noqa: E402 - needs torch

from crosszone.runtime import checkpoint  # noqa: E402 - needs torch
from crosszone.runtime.identity import digest, outliers  # noqa: E402 - needs torch
from crosszone.runtime.telemetry import problem  # noqa: E402 - needs torch
from crosszone.runtime.train import STOPPED_EXIT_CODE, main, train  # noqa: E402 - needs torch
from crosszone.runtime.zero import read_deepspeed_config  # noqa: E402 - needs torch

CONFIG = tiny_training(
    fingerprint="0123456789abcdef",
    microbatch_size=4,
    rank_microbatches=(2,),
    checkpoint=TrainCheckpoint(folder="checkpoints", every_steps=2),
    identity_every_steps=1,
)


STARTS = ((2, "tokens.bin"), (4, "./moved.bin"), (6, "other.bin"))


def lines(folder: Path, event: str) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "logs/rank-0.jsonl").read_text().splitlines()]
    return [row for row in rows if row["event"] == event]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in lines(folder, "step")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert train(CONFIG, folder=folder)
    return folder


def test_it_learns(tmp_path) -> None:
    assert train(replace(CONFIG, num_steps=60, checkpoint=None), folder=tmp_path)
    found = losses(tmp_path)
    assert found[0] == pytest.approx(3.5, abs=0.2)  # ln 32: nothing is known yet
    assert found[-1] < found[0] - 1.0


def test_steps_are_logged_under_the_names_of_a_prediction(whole) -> None:
    rows = lines(whole, "step")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    fields = Prediction.__dataclass_fields__
    shared = {"step_seconds", "tokens_per_second", "tokens_per_second_per_gpu", "model_flop_per_second_per_gpu"}
    assert shared <= rows[0].keys() & fields.keys()
    assert rows[0]["memory"].keys() <= {*Memory.__dataclass_fields__, *StageMemory.__dataclass_fields__}
    assert rows[0]["memory"]["peak_bytes"] > 1e7
    assert rows[0]["memory"]["reserved_bytes"] is None
    row = rows[2]
    assert row["tokens_per_second"] * row["step_seconds"] == pytest.approx(8 * 16)
    assert row["consumed_tokens"] == 3 * 8 * 16
    start = lines(whole, "start")[0]
    assert {
        "fingerprint",
        "framework",
        "num_gpus",
        "num_parameters",
        "num_microbatches",
    } <= start.keys() & fields.keys()
    assert start["fingerprint"] == "0123456789abcdef"


def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(whole, tmp_path) -> None:
    train(replace(CONFIG, num_steps=4), folder=tmp_path)
    train(CONFIG, folder=tmp_path)
    assert losses(tmp_path) == losses(whole)
    assert [row["first_step"] for row in lines(tmp_path, "start")] == [1, 5]


def test_checkpoints_are_counted_and_described(whole) -> None:
    kept = whole_checkpoints(whole / "checkpoints")
    assert [path.name for path in kept] == ["step-00000006", "step-00000004"]
    manifest = read_manifest(kept[0])
    assert (manifest.step, manifest.consumed_samples, manifest.num_ranks, manifest.format) == (6, 48, 1, "dcp")
    on_disk = {path.relative_to(kept[0]).as_posix() for path in kept[0].rglob("*") if path.is_file()}
    assert on_disk == {file.path for file in manifest.files} | {MANIFEST}


def test_what_dies_while_it_saves_leaves_the_checkpoint_before(whole, tmp_path, monkeypatch) -> None:
    train(replace(CONFIG, num_steps=2), folder=tmp_path)

    def die(source, target) -> None:
        if os.path.isdir(source):
            raise OSError("no space left on device")
        rename(source, target)

    rename = os.rename
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "rename", die)
        with pytest.raises(OSError, match="no space left"):
            train(CONFIG, folder=tmp_path)
    folder = tmp_path / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == [".writing-step-00000004", "step-00000002"]
    train(CONFIG, folder=tmp_path)
    assert losses(tmp_path) == losses(whole)[:4] + losses(whole)[2:]  # steps 3 and 4 were lost, and are the same again
    assert not list(folder.glob(".writing-*"))


def test_a_damaged_checkpoint_is_passed_over(whole, tmp_path) -> None:
    train(replace(CONFIG, num_steps=4), folder=tmp_path)
    newest = whole_checkpoints(tmp_path / "checkpoints")[0]
    largest = max(newest.glob("*.distcp"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    train(CONFIG, folder=tmp_path)
    assert [row["first_step"] for row in lines(tmp_path, "start")] == [1, 3]
    assert losses(tmp_path)[4:] == losses(whole)[2:]


def test_another_model_does_not_go_on_from_it(whole) -> None:
    other = replace(CONFIG, seed=1, data=TrainData(path=None, num_samples=7))
    with pytest.raises(CrossZoneError, match=r"data.num_samples was 1000, and is 7; seed was 0, and is 1\."):
        train(other, folder=whole)


def test_tokens_of_the_same_content_are_the_same_wherever_they_lie(tmp_path) -> None:
    tokens = np.random.default_rng(0).integers(32, size=2000).astype("<u2")
    for name in ("tokens.bin", "moved.bin"):
        tokens.tofile(tmp_path / name)
    (tokens[::-1]).tofile(tmp_path / "other.bin")
    first, moved, other = (replace(CONFIG, num_steps=steps, data=TrainData(path=name)) for steps, name in STARTS)
    train(first, folder=tmp_path)
    train(moved, folder=tmp_path)
    assert [row["first_step"] for row in lines(tmp_path, "start")] == [1, 3]
    with pytest.raises(CrossZoneError, match=r'data.path was "4000 bytes that begin as SHA-256 \w{16}", and is "4000 '):
        train(other, folder=tmp_path)


def test_a_signal_ends_the_step_saves_and_leaves(whole, tmp_path, monkeypatch) -> None:
    from crosszone.runtime import train as module

    def told(*arguments, **keywords):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **keywords)

    original = module.microbatch
    before = signal.getsignal(signal.SIGTERM)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(to_json(CONFIG)))
    with monkeypatch.context() as patch:
        patch.setattr(module, "microbatch", told)
        assert main([str(path)]) == STOPPED_EXIT_CODE
    assert signal.getsignal(signal.SIGTERM) == before
    assert [row["step"] for row in lines(tmp_path, "stopped")] == [1]
    assert main([str(path)]) == 0
    assert losses(tmp_path) == losses(whole)


def test_a_checkpoint_that_cannot_be_written_is_logged_with_the_reason(whole, tmp_path) -> None:
    assert [row["saves"] for row in lines(whole, "start")] == [True]
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(OSError, match="checkpoints") as caught:
        train(CONFIG, folder=tmp_path)
    (row,) = lines(tmp_path, "unsaved")
    assert row["step"] == 2
    assert row["reason"] == f"{caught.type.__name__}: {caught.value}"


def test_of_what_torch_gathers_from_ranks_the_first_is_told() -> None:
    gathered = CheckpointException("write", {1: (OSError(28, "No space left on device"), None)})
    assert problem(gathered) == "OSError: [Errno 28] No space left on device"
    assert problem(RuntimeError("first\nsecond")) == "RuntimeError: first"
    assert problem(TimeoutError()) == "TimeoutError"


def test_mistakes_are_told_without_a_traceback(tmp_path, capsys) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps({**to_json(CONFIG), "num_steps": "auto", "framework": "horovod"}))
    assert main([str(path)]) == 2
    assert 'num_steps: "auto" is not a whole number.' in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 2
    path.write_text("{")
    assert main([str(path)]) == 2
    path.write_text(json.dumps(to_json(replace(CONFIG, rank_microbatches=(1, 1)))))
    assert main([str(path)]) == 2
    assert "1 ranks run, but the configuration is for 2" in capsys.readouterr().err


def test_deepspeed_that_is_not_there_is_said(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed", None)  # an import of it fails then
    path = tmp_path / "train.json"
    path.write_text(json.dumps(to_json(replace(CONFIG, framework="deepspeed", deepspeed_config="ds_config.json"))))
    assert main([str(path)]) == 4
    assert "framework deepspeed is not installed here" in capsys.readouterr().err


def test_a_deepspeed_configuration_for_another_batch_is_refused(tmp_path) -> None:
    path = tmp_path / "ds_config.json"
    path.write_text(json.dumps({"train_batch_size": "auto", "train_micro_batch_size_per_gpu": 4}))
    with pytest.raises(SpecError) as caught:
        read_deepspeed_config(path, CONFIG, num_ranks=1)
    assert [str(finding) for finding in caught.value.findings] == [
        'ds_config.json: train_batch_size: "auto" is not 8, which the run\'s configuration says. Render the bundle '
        "again; DeepSpeed itself reads no other file.",
        "ds_config.json: gradient_accumulation_steps: null is not 2, which the run's configuration says. Render the "
        "bundle again; DeepSpeed itself reads no other file.",
    ]
    path.write_text(
        json.dumps(
            {"train_batch_size": 8, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 2, "bf16": {}}
        )
    )
    assert "bf16" in read_deepspeed_config(path, CONFIG, num_ranks=1)


def test_a_digest_sees_a_bit_and_an_exchange() -> None:
    values = torch.arange(1000, dtype=torch.float32)
    flipped, exchanged, moved = values.clone(), values.clone(), torch.zeros(1001)
    flipped.view(torch.int32)[17] ^= 1
    exchanged[[3, 4]] = exchanged[[4, 3]]
    assert digest(values) == digest(values.clone())
    assert len({int(digest(each)) for each in (values, flipped, exchanged, moved, values.bfloat16())}) == 5


def test_the_ranks_that_differ_are_the_few() -> None:
    assert outliers([(1, 2), (1, 2), (1, 3), (1, 2)]) == [2]
    assert outliers([(1,), (2,)]) == [0, 1]
    assert outliers([(1,), (1,), (2,), (2,)]) == [0, 1, 2, 3]
