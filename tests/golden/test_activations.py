"""Activation memory against Korthikanti et al. 2022, Table 2, exactly, with the stated differences."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosszone.core.model import LayerKind, Model
from crosszone.core.workload import Workload, standard_dtypes
from crosszone.cost.memory import ActivationBytes, activation_bytes

DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_name("activations.toml").read_text(encoding="utf-8"))
SEQUENCE_LENGTH = 2048
MASKS = DATA["differences"]["hidden_dropout_masks"]["value"]
STATISTICS = DATA["differences"]["attention_statistics"]["value"]
ROWS = pytest.mark.parametrize("row", DATA["rows"], ids=lambda row: row["name"])


def layer_bytes(row: dict[str, Any], *, tp: int, sequence_parallel: bool) -> ActivationBytes:
    model = Model(
        name=row["name"],
        num_layers=row["num_layers"],
        hidden_size=row["hidden_size"],
        ffn_size=4 * row["hidden_size"],
        num_heads=row["num_heads"],
        num_kv_heads=row["num_heads"],
        head_size=row["hidden_size"] // row["num_heads"],
        vocab_size=51200,
        gated_ffn=False,
    )
    workload = Workload(
        sequence_length=SEQUENCE_LENGTH, global_batch_size=8, dtypes=standard_dtypes("fp16"), attention="unfused"
    )
    return activation_bytes(
        model,
        LayerKind(is_moe=False, window_size=None),
        workload,
        microbatch_size=row["microbatch_size"],
        tp=tp,
        cp=1,
        sequence_parallel=np.array(sequence_parallel),
    )


def sbh_bytes(row: dict[str, Any]) -> float:
    return float(SEQUENCE_LENGTH * row["microbatch_size"] * row["hidden_size"])


def statistics_bytes(row: dict[str, Any], tp: int) -> float:
    return STATISTICS * SEQUENCE_LENGTH * row["microbatch_size"] * float(row["num_heads"]) / tp


@ROWS
def test_no_recomputation_one_rank(row: dict[str, Any]) -> None:
    """sbh (34 + 5as/h)."""
    none, _, _ = layer_bytes(row, tp=1, sequence_parallel=False).kept
    ours = float(none) - statistics_bytes(row, 1) + MASKS * sbh_bytes(row)
    five = 5 * row["num_heads"] * SEQUENCE_LENGTH / row["hidden_size"]
    assert five == pytest.approx(row["attention_ratio"], abs=1e-3)
    assert ours == pytest.approx(sbh_bytes(row) * (34 + five), rel=1e-12)


@ROWS
@pytest.mark.parametrize("tp", [2, 8])
def test_tensor_parallel(row: dict[str, Any], tp: int) -> None:
    """sbh (10 + 24/t + 5as/ht): both dropout masks are in the 10, which tp does not divide."""
    none, _, _ = layer_bytes(row, tp=tp, sequence_parallel=False).kept
    ours = float(none) - statistics_bytes(row, tp) + MASKS * sbh_bytes(row)
    five = 5 * row["num_heads"] * SEQUENCE_LENGTH / row["hidden_size"]
    assert ours == pytest.approx(sbh_bytes(row) * (10 + 24 / tp + five / tp), rel=1e-12)


@ROWS
def test_sequence_parallel_divides_everything(row: dict[str, Any]) -> None:
    """sbh/t (34 + 5as/h), and 34/t with selective recomputation."""
    none, selective, _ = layer_bytes(row, tp=8, sequence_parallel=True).kept
    five = 5 * row["num_heads"] * SEQUENCE_LENGTH / row["hidden_size"]
    added = MASKS * sbh_bytes(row) / 8 - statistics_bytes(row, 8)
    assert float(none) + added == pytest.approx(sbh_bytes(row) / 8 * (34 + five), rel=1e-12)
    assert float(selective) + added == pytest.approx(sbh_bytes(row) / 8 * 34, rel=1e-12)


@ROWS
def test_full_recomputation_keeps_the_input(row: dict[str, Any]) -> None:
    """2sbh, on every tensor-parallel rank."""
    _, _, full = layer_bytes(row, tp=8, sequence_parallel=False).kept
    assert float(full) == 2 * sbh_bytes(row)


@ROWS
def test_selective_recomputation_saves_what_the_paper_prints(row: dict[str, Any]) -> None:
    none, selective, _ = (float(kept) for kept in layer_bytes(row, tp=1, sequence_parallel=False).kept)
    added = MASKS * sbh_bytes(row) - statistics_bytes(row, 1)
    assert 1 - (selective + added) / (none + added) == pytest.approx(row["selective_saving"], abs=0.006)
