"""What a checkpoint has in common with the runs that can go on from it."""

from dataclasses import replace

import pytest

from crosszone.core.checkpoint import Manifest, checkpoint_format, differing_fields, state_fields
from crosszone.core.codec import from_json, to_json
from crosszone.core.train import TrainData
from tiny_training import tiny_training

CONFIG = tiny_training()


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
        ({"data": TrainData(path=None, num_samples=50)}, ("data.num_samples", "1000", "50")),
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
