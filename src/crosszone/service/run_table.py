"""Runs that tasks have measured, as the table that `crosszone validate` and `calibrate --from` read."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosszone.errors import CrossZoneError, Finding

if TYPE_CHECKING:
    from crosszone.core.model import Model
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem
    from crosszone.store.opened import Store
    from crosszone.store.records import SavedRun

SHARDS = ("none", "optimizer", "gradients", "parameters")
"""By ZeRO stage."""
PAGE = 500
GIGA = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """The table, and what has no place in it."""

    text: str
    """CSV; empty where no run has a place."""
    num_rows: int
    left_out: tuple[Finding, ...]
    """`where` is the run's id."""


def run_table(store: Store) -> RunTable:
    """The table of all runs that were measured, the oldest first."""
    from crosszone.store import records

    found: list[SavedRun] = []
    cursor = None
    while True:
        with store.state.reading() as connection:
            page = records.listed_runs(connection, sort="created", limit=PAGE, cursor=cursor)
        found += [run for run in page.rows if run.measurement is not None]
        cursor = page.cursor
        if cursor is None:
            return table_of(found)


def table_of(runs: Iterable[SavedRun]) -> RunTable:
    """The table of some runs."""
    rows, left_out = [], []
    for run in runs:
        try:
            rows.append(row_of(run))
        except CrossZoneError as error:
            left_out += [
                Finding(code=each.code, message=each.message, where=run.id, hint=each.hint) for each in error.findings
            ]
    written = io.StringIO()
    if rows:
        writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return RunTable(text=written.getvalue(), num_rows=len(rows), left_out=tuple(left_out))


def row_of(run: SavedRun) -> dict[str, Any]:
    """The row of a run. CrossZoneError where a row cannot say what it was."""
    from crosszone.core.codec import from_json
    from crosszone.core.plan import Plan
    from crosszone.service.verbs import read

    measured = run.measurement or {}
    if measured["device"] == "cpu":
        raise CrossZoneError.of("its ranks computed on CPUs, which tells nothing of GPUs.", code="device")
    problem, plan = read(run.job), from_json(Plan, run.plan)
    _check_is_one_site(problem, plan)
    group = problem.cluster.zones[0].node_groups[0]
    rails = f"{group.network_bytes_per_second * 8 / group.num_rails / GIGA:g}"
    year = datetime.datetime.fromtimestamp(run.created_seconds, datetime.UTC).year
    return {
        "id": f"own_{run.id}",
        "year": year,
        "gpu": group.gpu.name,
        "n_gpus": plan.world_size,
        "gpus_per_node": group.gpus_per_node,
        "network": f"{group.num_rails}x{rails} Gb/s per node",
        **_model_cells(problem.model),
        **_plan_cells(problem, plan),
        "framework": plan.framework,
        "step_seconds": measured["step_seconds"],
        "peak_memory_bytes": measured["memory"]["peak_bytes"],
        "mem_kind": "allocated",
        "status": "ran",
    }


def _check_is_one_site(problem: Problem, plan: Plan) -> None:
    """What a row has no words for."""
    groups = [group for zone in problem.cluster.zones for group in zone.node_groups]
    if len(plan.zones) > 1 or len(problem.cluster.zones) > 1:
        raise CrossZoneError.of("it trained in several zones, and a row is of one.", code="several_zones")
    num_gpus = sum(group.num_gpus for group in groups) - sum(idle.num_gpus for idle in plan.idle_gpus)
    if plan.world_size != num_gpus:
        message = f"it trained on {plan.world_size} of the {num_gpus} GPUs of its job: nodes were lost."
        raise CrossZoneError.of(message, code="fewer_gpus")
    if len(groups) > 1:
        raise CrossZoneError.of("its nodes are of several kinds, and a row is of one.", code="several_gpus")
    if len({(stage.tp, stage.dp, stage.recompute) for stage in plan.stages}) > 1:
        raise CrossZoneError.of("its stages differ, and a row has one of each degree.", code="general_plan")
    if plan.recompute_layers is not None:
        raise CrossZoneError.of("it recomputed some layers, and a row is of all or none.", code="general_plan")
    if problem.model.num_experts or problem.model.kv_lora_rank or problem.model.window_size:
        message = f"{problem.model.name} has experts, latent or windowed attention, which a row does not say whole."
        raise CrossZoneError.of(message, code="model")


def _model_cells(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "layers": model.num_layers,
        "hidden": model.hidden_size,
        "ffn_hidden": model.ffn_size,
        "heads": model.num_heads,
        "kv_heads": model.num_kv_heads,
        "head_dim": model.head_size,
        "vocab": model.vocab_size,
        "gated_mlp": _said(model.gated_ffn),
        "tied_embeddings": _said(model.tied_embeddings),
    }


def _plan_cells(problem: Problem, plan: Plan) -> dict[str, Any]:
    workload = problem.workload
    return {
        "seq_len": workload.sequence_length,
        "tp": plan.tp,
        "pp": plan.pp,
        "cp": plan.cp,
        "ep": plan.ep,
        "dp": plan.dp,
        "vpp": plan.num_virtual_stages,
        "sequence_parallel": _said(plan.sequence_parallel),
        "zero_stage": SHARDS.index(plan.shard),
        "fsdp_mode": f"sharding group {plan.dp_shard}" if 1 < plan.dp_shard < plan.dp else "",
        "micro_batch": plan.microbatch_size,
        "global_batch": workload.global_batch_size,
        "recompute": plan.recompute,
        "precision": workload.dtypes.compute,
        "flash_attention": _said(workload.attention == "flash"),
    }


def _said(value: bool) -> str:
    return "yes" if value else "no"
