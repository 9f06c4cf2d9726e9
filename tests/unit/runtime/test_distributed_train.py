"""`scripts/distributed_train.py`: a training beside the bundle's own, whose mistakes are told by its options."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crosszone.core.codec import to_json
from crosszone.core.train import TrainCheckpoint
from tiny_training import tiny_training

pytest.importorskip("torch")
pytest.importorskip("transformers")

from crosszone.runtime.distributed_train import main

CONFIG = tiny_training(
    num_steps=3,
    rank_microbatches=(1,),
    checkpoint=TrainCheckpoint(folder="../checkpoints", every_steps=100),
    log_folder="../logs",
)
Train = Callable[..., int]


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A folder with the configuration of one rank."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/train.json").write_text(json.dumps(to_json(CONFIG)))
    return tmp_path


@pytest.fixture
def train(bundle) -> Train:
    """The script, in the bundle."""
    return lambda *words: main(["--config", str(bundle / "configs/train.json"), *words])


def first_steps(logs: Path) -> list[int]:
    rows = [json.loads(line) for line in (logs / "rank-0.jsonl").read_text().splitlines()]
    return [row["first_step"] for row in rows if row["event"] == "start"]


def test_it_leaves_the_bundles_own_training_alone(bundle, train, capsys) -> None:
    finished = bundle / "checkpoints/step-00000003"
    finished.mkdir(parents=True)
    (finished / "manifest.json").write_text("a finished training of other numbers")
    assert train() == 0
    assert first_steps(bundle / "logs/distributed_train") == [1]
    assert (bundle / "checkpoints/distributed_train/step-00000003/manifest.json").exists()
    assert not (bundle / "logs/rank-0.jsonl").exists()
    said = capsys.readouterr().err
    assert f"logs: {bundle}/logs/distributed_train\n" in said
    assert f"checkpoints: {bundle}/checkpoints/distributed_train; none is there" in said


def test_nothing_left_to_train_is_no_success(bundle, train, capsys) -> None:
    assert train() == 0
    assert train() == 2
    said = capsys.readouterr().err
    newest = bundle / "checkpoints/distributed_train/step-00000003"
    assert f"{newest} has 3 steps, of 3: nothing is left to train. Ask for more, or name another --output_dir." in said
    assert train("--num_steps", "5") == 0
    assert "it goes on after step 3 of 5" in capsys.readouterr().err
    assert first_steps(bundle / "logs/distributed_train") == [1, 4]


def test_another_folder_begins_anew(bundle, train, tmp_path) -> None:
    assert train() == 0
    assert train("--batch_size", "2", "--output_dir", str(tmp_path / "other")) == 0
    assert first_steps(tmp_path / "other/logs") == [1]
    assert (tmp_path / "other/checkpoints/step-00000003").is_dir()


def test_without_checkpoints_every_start_begins_anew(bundle, train, capsys) -> None:
    path = bundle / "configs/train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "checkpoint": None}))
    assert (train(), train()) == (0, 0)
    assert "checkpoints: none; every start begins anew" in capsys.readouterr().err
    assert first_steps(bundle / "logs/distributed_train") == [1, 1]


def test_mistakes_are_told_by_the_options_that_hold_them_each_once(bundle, train, capsys) -> None:
    path = bundle / "configs/train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank_microbatches": [1, 1]}))
    words = ("--batch_size", "0", "--gradient_accumulation_steps", "-1", "--num_steps", "0")
    assert train(*words, "--deepspeed_config", "ds.json") == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --num_steps: 0 is below 1.",
        "error: --batch_size: 0 is below 1.",
        "error: --gradient_accumulation_steps: -1 is below 1.",
        "error: --deepspeed_config: is needed with deepspeed, and only with it.",
    ]
    path.write_text(json.dumps({**json.loads(path.read_text()), "sequence_length": 0}))
    assert train("--num_steps", "1") == 2
    assert capsys.readouterr().err == f"error: {path}: sequence_length: 0 is below 1.\n"


def test_a_model_that_is_none_is_told_by_its_option(bundle, train, capsys) -> None:
    (bundle / "mine.json").write_text("{}")
    assert train("--model_name", str(bundle / "mine.json")) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error on rank 0: --model_name: ")


def test_one_rank_speaks_for_all(bundle, train, capsys, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert train("--num_steps", "0") == 2
    assert capsys.readouterr().err == ""
