"""A GPU of round numbers, and models small enough for a pencil."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosszone.core.model import Model
from crosszone.core.workload import Workload, standard_dtypes
from crosszone.cost.collectives import Path
from crosszone.cost.layer import LayerKeys

LLAMA = Model(
    name="llama-like",
    num_layers=4,
    hidden_size=4096,
    ffn_size=11008,
    num_heads=32,
    num_kv_heads=32,
    head_size=128,
    vocab_size=32000,
)


@pytest.fixture
def llama() -> Model:
    """Gated FFN, as many key-value heads as heads: LLaMA-7B with four layers."""
    return LLAMA


@pytest.fixture
def gpt3() -> Model:
    """GPT-3 175B as Narayanan et al. 2021 train it: h = 12288, 96 layers, V = 51200."""
    return Model(
        name="gpt3-like",
        num_layers=96,
        hidden_size=12288,
        ffn_size=4 * 12288,
        num_heads=96,
        num_kv_heads=96,
        head_size=128,
        vocab_size=51200,
        gated_ffn=False,
        tied_embeddings=True,
    )


@pytest.fixture
def mixtral() -> Model:
    """Eight experts in each layer, two for a token."""
    return replace(LLAMA, num_kv_heads=8, num_experts=8, experts_per_token=2, expert_ffn_size=14336)


@pytest.fixture
def mla() -> Model:
    """Latent attention with the sizes of DeepSeek-V3, fewer heads."""
    return replace(LLAMA, kv_lora_rank=512, q_lora_rank=1536, rope_head_size=64, head_size=192, value_head_size=128)


@pytest.fixture
def workload():
    """Makes a workload: bf16, AdamW, flash attention, unless said otherwise."""

    def make(precision: str = "bf16", **changes: Any) -> Workload:
        base = Workload(sequence_length=4096, global_batch_size=64, dtypes=standard_dtypes(precision))
        return replace(base, **changes)

    return make


@pytest.fixture
def keys():
    """Makes one row of `LayerKeys`: 100 TFLOP/s of everything, 1 TB/s of memory, no fixed costs."""

    def make(**changes: Any) -> LayerKeys:
        numbers: dict[str, float] = {
            "tp": 1, "cp": 1, "ep": 1, "microbatch_size": 1,
            "gemm_flop_per_second": 100e12, "wide_flop_per_second": 100e12, "gemm_overhead_depth": 0.0,
            "num_sms": 100, "attention_flop_per_second": 100e12, "attention_backward_flop_per_second": 100e12,
            "unfused_attention_flop_per_second": 100e12, "memory_bytes_per_second": 1e12, "elementwise_factor": 1.0,
            "launch_seconds": 0.0, "logit_traffic_bytes": 10.0, "tp_overlap_fraction": 0.0, "domain_size": 8,
        }  # fmt: skip
        path = changes.pop(
            "path",
            Path(
                fabric_bytes_per_second=100e9,
                network_bytes_per_second=10e9,
                fabric_latency_seconds=0.0,
                network_latency_seconds=0.0,
            ),
        )
        parallel = np.atleast_1d(np.asarray(changes.pop("sequence_parallel", False)))
        columns = {
            name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in {**numbers, **changes}.items()
        }
        return LayerKeys(**columns, sequence_parallel=parallel, path=path)

    return make
