"""What the trainer is told: read strictly, all problems at once, and the arithmetic of steps and ranks."""

import json
from dataclasses import replace

import pytest

from crosszone.catalog.models import model
from crosszone.core.codec import from_json, to_json
from crosszone.core.timeouts import LADDER, timeout_problems, timeouts
from crosszone.core.train import (
    TrainCheckpoint,
    TrainOptimizer,
    dealt_microbatches,
    learning_rate,
    train_config,
    train_problems,
)
from crosszone.errors import SpecError
from tiny_training import TINY_MODEL, tiny_training

CONFIG = tiny_training(
    model=replace(TINY_MODEL, global_layers=(0, 1)), checkpoint=TrainCheckpoint(folder="checkpoints", every_steps=10)
)

SHARDING = ((1, "none"), (2, "parameters"))
"""Ranks that share a copy, and what of it: of a zone of one rank, and of one of two."""


def problems(**changes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        train_config(json.loads(json.dumps(to_json(CONFIG))) | changes)
    return [finding.where for finding in caught.value.findings]


def test_a_configuration_survives_a_file() -> None:
    assert train_config(json.loads(json.dumps(to_json(CONFIG)))) == CONFIG


def test_pairs_and_nested_tuples_survive_too() -> None:
    from crosszone.core.plan import Sync

    sync = Sync(codecs=(("gradients", "bf16"),))
    assert from_json(Sync, json.loads(json.dumps(to_json(sync)))) == sync


def test_nothing_is_guessed_or_converted() -> None:
    assert problems(num_steps="auto", seed=1.5, is_elastic=1) == ["seed", "num_steps", "is_elastic"]
    assert problems(microbatch_size=None, timeouts={}) == [
        "microbatch_size",
        *(f"timeouts.{rung}" for rung in LADDER),
    ]


def test_unknown_keys_name_the_nearest() -> None:
    with pytest.raises(SpecError, match=r'num_step: there is no such key\. Did you mean "num_steps"'):
        train_config({**to_json(CONFIG), "num_step": 4})
    nested = to_json(CONFIG)
    nested["optimizer"]["lr"] = 1.0
    with pytest.raises(SpecError, match=r"optimizer\.lr"):
        train_config(nested)


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"framework": "alpa"}, ["framework"]),
        ({"framework": "horovod"}, ["rank_microbatches"]),
        ({"backend": "nccl"}, ["backend"]),
        ({"model": None}, ["model"]),
        ({"model_config": "config.json"}, ["model"]),
        ({"data": {"path": None}}, ["data"]),
        ({"data": {"path": "a.bin", "token_bytes": 3}}, ["data.token_bytes"]),
        ({"rank_microbatches": [1, 0]}, ["rank_microbatches[1]"]),
        ({"shard": "parameters"}, ["shard"]),
        ({"framework": "fsdp"}, ["shard"]),
        ({"framework": "fsdp", "shard": "parameters", "dp_shard": 2}, ["rank_microbatches"]),
        ({"framework": "fsdp", "shard": "parameters", "dp_shard": 3}, ["dp_shard"]),
        ({"framework": "deepspeed", "deepspeed_config": "ds_config.json"}, ["rank_microbatches"]),
        ({"framework": "deepspeed", "rank_microbatches": [1, 1]}, ["deepspeed_config"]),
        ({"num_steps": 0, "seed": 0, "recompute": "some"}, ["recompute", "num_steps"]),
        ({"local": {"every": 10}}, ["local"]),
        ({"local": {"every": 10}, "rank_zones": [0, 1], "framework": "horovod"}, ["local", "rank_microbatches"]),
        (
            {
                "local": {"every": 2, "num_fragments": 3, "num_delay_steps": 3, "outer_momentum": 1.0},
                "rank_zones": [0, 1],
                "zone_codec": "by_post",
                "is_elastic": True,
            },
            [
                "zone_codec",
                "is_elastic",
                *(f"local.{key}" for key in ("num_fragments", "num_delay_steps", "outer_momentum")),
            ],
        ),
        (
            {
                "local": {"every": 2},
                "rank_zones": [0, 0, 0, 1],
                "rank_microbatches": [1, 1, 1, 1],
                "framework": "fsdp",
                "shard": "parameters",
                "dp_shard": 2,
            },
            ["dp_shard"],
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_its_place(changes, places) -> None:
    assert problems(**changes) == places


def test_a_table_of_positions_bounds_the_sequence() -> None:
    for name, rows in (("gpt2-small", 1024), ("opt-125m", 2048)):
        config = replace(CONFIG, model=model(name), sequence_length=rows)
        assert not list(train_problems(config))
        (finding,) = train_problems(replace(config, sequence_length=rows + 1))
        assert finding.where == "sequence_length"
        assert f"learned {rows} positions" in finding.message


def test_replicas_of_fsdp_may_differ_where_they_do_not_share() -> None:
    counts = {"rank_microbatches": [3, 3, 1, 1], "framework": "fsdp", "shard": "parameters", "dp_shard": 2}
    assert train_config({**to_json(CONFIG), **counts}).global_batch_size == 16


def test_one_rank_of_fsdp_has_nothing_to_shard() -> None:
    alone = {**to_json(CONFIG), "framework": "fsdp", "rank_microbatches": [4]}
    assert train_config(alone).shard == "none"


def test_nor_has_the_only_rank_of_a_zone_that_steps_by_itself() -> None:
    own = [{"microbatch_size": 2, "dp_shard": size, "shard": shard, "recompute": "none"} for size, shard in SHARDING]
    zones = {"local": {"every": 2}, "own": own, "framework": "fsdp", "shard": "none"}
    told = zones | {"rank_zones": [0, 1, 1], "rank_microbatches": [4, 1, 1]}
    assert train_config({**to_json(CONFIG), **told}).as_of_rank(0).shard == "none"
    assert problems(**told | {"rank_zones": [0, 0, 1]}) == ["dp_shard", "own[0].shard"]


def test_another_number_of_ranks_only_on_demand() -> None:
    assert dealt_microbatches(CONFIG, 2) == (3, 1)
    with pytest.raises(SpecError, match="3 ranks run, but the configuration is for 2"):
        dealt_microbatches(CONFIG, 3)
    elastic = replace(CONFIG, is_elastic=True)
    assert dealt_microbatches(elastic, 1) == (4,)
    assert dealt_microbatches(elastic, 3) == (2, 1, 1)
    with pytest.raises(SpecError, match="4 microbatches cannot be dealt to 5 ranks"):
        dealt_microbatches(elastic, 5)
    with pytest.raises(SpecError, match="cannot be dealt"):
        dealt_microbatches(replace(elastic, framework="fsdp", shard="parameters"), 3)


def test_the_rate_warms_up_and_falls_to_its_fraction() -> None:
    optimizer = TrainOptimizer(
        learning_rate=1.0, num_warmup_steps=4, num_decay_steps=10, final_learning_rate_fraction=0.1
    )
    assert [learning_rate(optimizer, step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert learning_rate(optimizer, 4) == 1.0
    assert learning_rate(optimizer, 9) == pytest.approx(0.55)
    assert learning_rate(optimizer, 14) == learning_rate(optimizer, 1000) == pytest.approx(0.1)
    assert learning_rate(replace(optimizer, num_decay_steps=None), 1000) == 1.0


def test_the_ladder_keeps_its_lower_bounds_and_its_order() -> None:
    limits = timeouts(rtt_seconds=0.2, p99_step_seconds=100.0, checkpoint_stall_seconds=50.0)
    assert limits.heartbeat_seconds == pytest.approx(5 * 0.2 + 5)
    assert limits.collective_seconds == pytest.approx(3 * 100 + 50)
    assert timeout_problems(limits) == ()
    assert timeout_problems(timeouts(rtt_seconds=60.0, p99_step_seconds=0.01, checkpoint_stall_seconds=0.0)) == ()


def test_a_ladder_out_of_order_names_the_rung() -> None:
    limits = replace(CONFIG.timeouts, quorum_seconds=1.0, first_step_seconds=0.0)
    assert [finding.where for finding in timeout_problems(limits)] == [
        "timeouts.first_step_seconds",
        "timeouts.quorum_seconds",
    ]
