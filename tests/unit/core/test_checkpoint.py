"""What a checkpoint has in common with the runs that can go on from it."""

from dataclasses import replace

import pytest

from crosszone.core.checkpoint import Manifest, checkpoint_format, differing_fields, state_fields
from crosszone.core.codec import from_json, to_json
from crosszone.core.model import Model
from crosszone.core.timeouts import timeouts
from crosszone.core.train import TrainConfig, TrainData, TrainOptimizer
from crosszone.core.workload import standard_dtypes

CONFIG = TrainConfig(
    framework="ddp",
    device="cpu",
    backend="gloo",
    model=Model(
        name="tiny",
        num_layers=2,
        hidden_size=32,
        ffn_size=64,
        num_heads=2,
        num_kv_heads=2,
        head_size=16,
        vocab_size=64,
    ),
    num_steps=4,
    sequence_length=16,
    microbatch_size=2,
    rank_microbatches=(3, 1),
    dtypes=standard_dtypes("bf16"),
    optimizer=TrainOptimizer(learning_rate=1e-3),
    data=TrainData(path=None, num_samples=100),
    timeouts=timeouts(rtt_seconds=0.03, p99_step_seconds=10.0, checkpoint_stall_seconds=20.0),
)


def differences(**changes) -> list[tuple[str, str, str]]:
    own = state_fields(replace(CONFIG, **changes), model_config=None, tokens=None)
    return list(differing_fields(state_fields(CONFIG, model_config=None, tokens=None), own))


def test_ranks_steps_and_labels_do_not_change_the_state() -> None:
    assert CONFIG.model is not None
    model = replace(CONFIG.model, name="other", source="a paper")
    assert not differences(
        rank_microbatches=(2, 2), framework="fsdp", shard="parameters", num_steps=9, log_folder="elsewhere", model=model
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"seed": 1}, ("seed", "0", "1")),
        ({"sequence_length": 8}, ("sequence_length", "16", "8")),
        ({"microbatch_size": 1}, ("global_batch_size", "8", "4")),
        ({"data": TrainData(path=None, num_samples=50)}, ("data.num_samples", "100", "50")),
    ],
)
def test_what_differs_is_named_with_both_values(changes, found) -> None:
    assert differences(**changes) == [found]


def test_a_model_differs_by_its_own_fields() -> None:
    assert CONFIG.model is not None
    assert differences(model=replace(CONFIG.model, num_layers=3)) == [("model.num_layers", "2", "3")]
    assert ("model.num_layers", "2", "nothing") in differences(model=None)


def test_a_file_is_what_it_holds() -> None:
    here, there = (
        state_fields(replace(CONFIG, data=TrainData(path=path)), model_config=None, tokens="its content")
        for path in ("tokens.bin", "../elsewhere/tokens.bin")
    )
    assert here == there
    assert ("data.path", '"its content"') in here


def test_formats() -> None:
    assert checkpoint_format(CONFIG) == checkpoint_format(replace(CONFIG, framework="horovod")) == "dcp"
    zero = replace(CONFIG, framework="deepspeed", deepspeed_config="ds_config.json")
    assert checkpoint_format(zero) == "deepspeed"
    assert checkpoint_format(replace(zero, stage_layers=(1, 1))) == "deepspeed-stages-1-1"


def test_a_manifest_survives_a_file() -> None:
    state = state_fields(CONFIG, model_config=None, tokens=None)
    manifest = Manifest(format="dcp", step=2, consumed_samples=16, num_ranks=2, state_fields=state, files=())
    assert from_json(Manifest, to_json(manifest)) == manifest
    assert to_json(manifest)["state_fields"]["seed"] == "0"
