"""A training of a few steps that takes no time: what the tests of the trainer and of its files begin with."""

from dataclasses import replace
from typing import Any

from crosszone.core.model import Model
from crosszone.core.timeouts import timeouts
from crosszone.core.train import TrainConfig, TrainData, TrainOptimizer
from crosszone.core.workload import standard_dtypes

TINY_MODEL = Model(
    name="tiny",
    num_layers=2,
    hidden_size=32,
    ffn_size=64,
    num_heads=2,
    num_kv_heads=2,
    head_size=16,
    vocab_size=32,
)


def tiny_training(**changes: Any) -> TrainConfig:
    """DDP over two ranks on CPUs, six steps of eight synthetic sequences, with these `changes`."""
    config = TrainConfig(
        framework="ddp",
        device="cpu",
        backend="gloo",
        model=TINY_MODEL,
        num_steps=6,
        sequence_length=16,
        microbatch_size=2,
        rank_microbatches=(3, 1),
        dtypes=standard_dtypes("fp32"),
        optimizer=TrainOptimizer(learning_rate=1e-2),
        data=TrainData(path=None, num_samples=1000),
        timeouts=timeouts(rtt_seconds=0.0, p99_step_seconds=1.0, checkpoint_stall_seconds=1.0),
    )
    return replace(config, **changes)
