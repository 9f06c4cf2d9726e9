"""A job file whose keys and values are sound, turned into the problem that it states: once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path as FilePath

from crosszone import units
from crosszone.catalog.huggingface import model_from_config
from crosszone.catalog.models import model as catalog_model
from crosszone.catalog.models import nearest_shape
from crosszone.core import problem as core
from crosszone.core.cluster import Cluster, Gpu
from crosszone.core.model import Model
from crosszone.core.plan import IdleGpus, Sync
from crosszone.core.workload import Checkpoint, Dataset, Dtypes, Evaluation, Workload, standard_dtypes
from crosszone.cost.parameters import num_parameters
from crosszone.errors import SpecError
from crosszone.spec import job as spec
from crosszone.spec import legality
from crosszone.spec.agreement import check_sync
from crosszone.spec.links import read_links
from crosszone.spec.reporting import Report
from crosszone.spec.shape import LOST_NAME
from crosszone.spec.sites import named_once, read_sites

DEFAULT_PRECISIONS = ("bf16", "fp16", "fp32")
"""Tried in this order where no precision is written; the first that every GPU has is taken."""
DEFAULT_OPTIMIZER = "adamw"
SUBSTITUTES = {
    "fp4": ("fp8", "bf16", "fp16", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"),
    "bf16": ("fp16", "tf32", "fp32"),
    "fp16": ("bf16", "tf32", "fp32"),
    "tf32": ("fp32", "bf16", "fp16"),
    "fp32": ("tf32", "bf16", "fp16"),
}
"""What to compute in where a GPU lacks a precision, the nearest first."""
EPOCH_TOLERANCE = 1e-6
MONTH_SECONDS = 30 * 86400.0
"""For which the price of storage is written."""


def resolve(job: spec.Job, report: Report, base: FilePath | None) -> core.Problem | None:
    """The problem, or None where the report says what is wrong. A path to a model's config is relative to `base`."""
    model = _model(job, report, base)
    job = job.model_copy(update={"cluster": named_once(job.cluster, report)})
    sites = read_sites(job.cluster, report)
    links = read_links(job.cluster, sites, report)
    zones = tuple(site.zone for site in sites if site.zone is not None)
    gpus = tuple(group.gpu for zone in zones for group in zone.node_groups)
    workload = _workload(job.workload, gpus, report)
    _check_length(job, model, report)
    legality.check(job, model, report)
    check_sync(job, model, report)
    _check_totals(job, workload, report)
    if report.findings or model is None or workload is None or len(zones) < len(sites):
        return None
    return core.Problem(
        model=model,
        workload=workload,
        cluster=Cluster(zones=zones, links=links),
        framework=job.framework.name if job.framework is not None else None,
        plan=_plan(job.plan or spec.Plan()),
        objective=_objective(job.objective or spec.Objective()),
        constraints=_constraints(job.constraints or spec.Constraints()),
        assumed=tuple(report.assumed),
        warnings=tuple(report.warnings),
    )


def _model(job: spec.Job, report: Report, base: FilePath | None) -> Model | None:
    written = job.model
    if written == LOST_NAME:
        return None
    try:
        if isinstance(written, spec.SizedModel):
            model = nearest_shape(written.parameters)
            size = units.format_count(written.parameters)
            counted = units.format_count(num_parameters(model))
            report.assume(
                ("model", "parameters"),
                f"the shape of {model.name} ({counted}), the nearest of the presets to {size} parameters.",
            )
        elif isinstance(written, spec.InlineModel):
            return _inline_model(written, report)
        elif _is_path(written):
            model = _config_model(written, base)
        else:
            model = catalog_model(written)
    except SpecError as error:
        report.absorb(("model", "parameters") if isinstance(written, spec.SizedModel) else ("model",), error)
        return None
    for name in model.assumed:
        report.assume(("model",), f"{name} {getattr(model, name, None)}, which nobody stated for {model.name}.")
    return model


def _is_path(written: str) -> bool:
    return written.endswith(".json") or written.startswith(("./", "../", "/", "~"))


def _config_model(written: str, base: FilePath | None) -> Model:
    if base is None:
        message = f'"{written}" is a file, and this job was not read from a folder.'
        raise SpecError.of(message, code="no_files", hint="Write a catalog name, or the fields of the model.")
    return model_from_config(base / FilePath(written).expanduser())


def _inline_model(written: spec.InlineModel, report: Report) -> Model | None:
    values = written.model_dump(exclude_none=True)
    num_heads, num_kv_heads = written.num_heads, written.num_kv_heads or written.num_heads
    problems = []
    if written.head_size is None and written.hidden_size % num_heads:
        message = f"num_heads {num_heads} does not divide hidden_size {written.hidden_size}, and head_size is absent."
        problems.append(("num_heads", message, "Write head_size."))
    if num_heads % num_kv_heads:
        message = f"num_kv_heads {num_kv_heads} does not divide num_heads {num_heads}."
        problems.append(("num_kv_heads", message, ""))
    if written.num_experts and not (written.experts_per_token and written.expert_ffn_size):
        message = f"{written.num_experts} experts, but experts_per_token or expert_ffn_size is absent."
        problems.append(("num_experts", message, "Write both."))
    if (written.experts_per_token or 0) > (written.num_experts or 0):
        message = f"experts_per_token {written.experts_per_token} is more than num_experts {written.num_experts or 0}."
        problems.append(("experts_per_token", message, ""))
    rows = written.num_position_rows
    if written.position == "learned" and rows is None and written.max_positions is None:
        problems.append(("position", "position is learned, but num_position_rows is absent.", "Write it."))
    if rows and written.position not in (None, "learned"):
        message = f"num_position_rows is {rows}, but position is {written.position}, which has no table."
        problems.append(("num_position_rows", message, "Delete it, or set position: learned."))
    for key, message, hint in problems:
        report.refuse(("model", key), "conflict", message, hint)
    if problems:
        return None
    values.update(_implied(written, report))
    values.update(num_kv_heads=num_kv_heads, head_size=written.head_size or written.hidden_size // num_heads)
    return Model(**{"name": "inline", "source": "job file", **values})


def _implied(written: spec.InlineModel, report: Report) -> dict[str, bool | int | str]:
    """What follows from other fields of a shape where it is not written."""
    found: dict[str, bool | int | str] = {}
    if written.norm_bias is None and written.norm == "layernorm":
        found["norm_bias"] = True
    if written.num_position_rows:
        found["position"] = "learned"
    elif written.position == "learned" and written.num_position_rows is None:
        found["num_position_rows"] = written.max_positions or 0
    if written.num_shared_experts and written.shared_expert_ffn_size is None:
        width = written.num_shared_experts * (written.expert_ffn_size or 0)
        report.assume(("model", "shared_expert_ffn_size"), f"{width}, num_shared_experts * expert_ffn_size.")
        found["shared_expert_ffn_size"] = width
    return found


def _workload(written: spec.Workload, gpus: Sequence[Gpu], report: Report) -> Workload | None:
    optimizer = written.optimizer
    if optimizer is None:
        optimizer = DEFAULT_OPTIMIZER
        if not report.has_lost(("workload", "optimizer")):
            report.assume(("workload", "optimizer"), f"{optimizer}.")
    dataset, evaluation = written.dataset, written.evaluation
    return Workload(
        sequence_length=written.sequence_length,
        global_batch_size=written.global_batch_size,
        dtypes=_dtypes(written, gpus, report),
        optimizer=optimizer,
        train_tokens=_train_tokens(written, report),
        dataset=Dataset(num_tokens=dataset.tokens, size_bytes=dataset.size, zone=dataset.zone) if dataset else None,
        trainable=written.trainable or "all",
        attention=written.attention or "flash",
        checkpoint=_checkpoint(written.checkpoint or spec.Checkpoint()),
        evaluation=Evaluation(every=evaluation.every, duration_seconds=evaluation.duration) if evaluation else None,
        restart_seconds=written.restart,
    )


def _checkpoint(written: spec.Checkpoint) -> Checkpoint:
    price = written.monthly_price
    return Checkpoint(
        every_seconds=written.every,
        node_bytes_per_second=written.bandwidth,
        num_kept=written.keep,
        is_async=bool(written.is_async),
        dollars_per_byte_second=None if price is None else price / MONTH_SECONDS,
    )


def _dtypes(written: spec.Workload, gpus: Sequence[Gpu], report: Report) -> Dtypes:
    explicit = written.dtypes.model_dump(exclude_none=True) if written.dtypes is not None else {}
    common = [one for one in SUBSTITUTES if all(gpu.peak(one) is not None for gpu in gpus)]
    precision = written.precision or explicit.get("compute")
    if precision is None:
        precision = next((one for one in DEFAULT_PRECISIONS if one in common), DEFAULT_PRECISIONS[0])
        if not report.has_lost(("workload", "precision")):
            report.assume(("workload", "precision"), f"{precision}.")
    values = {field.name: getattr(standard_dtypes(precision), field.name) for field in fields(Dtypes)}
    values.update(explicit)
    if values["master_weights"] == "none":
        values["master_weights"] = None
    compute = values["compute"]
    lacking = sorted({gpu.name for gpu in gpus if gpu.peak(compute) is None})
    if lacking:
        key = ("workload", "dtypes", "compute") if "compute" in explicit else ("workload", "precision")
        nearest = [one for one in SUBSTITUTES[compute] if one in common][:2]
        hint = f"Nearest legal: {' or '.join(nearest)}." if nearest else ""
        report.refuse(key, "no_such_precision", f"{', '.join(lacking)} cannot compute in {compute}.", hint)
    return Dtypes(**values)


def _train_tokens(written: spec.Workload, report: Report) -> float | None:
    """Tokens of the whole training: as written, or epochs times the dataset's tokens."""
    if written.epochs is None:
        return written.train_tokens
    dataset_tokens = written.dataset.tokens if written.dataset is not None else None
    path = ("workload", "epochs")
    if dataset_tokens is None:
        message = f"epochs is {written.epochs:g}, but the tokens of one epoch are not known."
        if not report.has_lost(("workload", "dataset", "tokens")):
            report.refuse(path, "missing_key", message, 'Write "dataset: {tokens: 300B}", or train_tokens.')
        return None
    total = written.epochs * dataset_tokens
    if written.train_tokens is not None and abs(total - written.train_tokens) > EPOCH_TOLERANCE * total:
        message = (
            f"epochs*dataset.tokens = {written.epochs:g}*{units.format_count(dataset_tokens)} = "
            f"{units.format_count(total)}, but train_tokens is {units.format_count(written.train_tokens)}."
        )
        report.refuse(path, "conflict", message, "Delete epochs or train_tokens.")
    return total


def _check_length(job: spec.Job, model: Model | None, report: Report) -> None:
    length = job.workload.sequence_length
    if model is not None and model.max_positions is not None and length > model.max_positions:
        message = (
            f"sequence_length {length} is more than the {model.max_positions} positions {model.name} was made for."
        )
        report.warn(("workload", "sequence_length"), message)


def _check_totals(job: spec.Job, workload: Workload | None, report: Report) -> None:
    """Limits on the whole training need to know how long it is."""
    if workload is None or workload.train_tokens is not None or job.workload.epochs is not None:
        return
    objective, constraints = job.objective or spec.Objective(), job.constraints or spec.Constraints()
    limits = {
        ("objective", "budget"): objective.budget,
        ("objective", "deadline"): objective.deadline,
        ("constraints", "max_egress"): constraints.max_egress,
    }
    for path, limit in limits.items():
        if limit is not None and not report.has_lost(("workload", "train_tokens")):
            report.warn(path, f"{path[-1]} has no effect: without workload.train_tokens there are no totals.")


def _plan(written: spec.Plan) -> core.PlanRequest:
    stages, replicas = written.stages, _replicas(written)
    return core.PlanRequest(
        tp=written.tp,
        pp=written.pp if written.pp is not None or stages is None else len(stages),
        cp=written.cp,
        ep=written.ep,
        dp=written.dp if written.dp is not None or replicas is None else sum(one.num_replicas for one in replicas),
        dp_shard=written.dp_shard,
        num_virtual_stages=written.num_virtual_stages,
        microbatch_size=written.microbatch_size,
        schedule=written.schedule,
        sequence_parallel=written.sequence_parallel,
        shard=written.shard,
        recompute=written.recompute,
        recompute_layers=written.recompute_layers,
        offload=written.offload,
        rank_order=written.rank_order,
        sync=_sync(written.sync),
        is_sync_method_open=written.sync is not None and written.sync.method is None and written.sync.algorithm is None,
        bucket_bytes=written.bucket_bytes,
        prefetch=written.prefetch,
        overlap_fraction=written.overlap_fraction,
        stages=None if stages is None else tuple(core.StageRequest(**dict(stage)) for stage in stages),
        replicas=replicas,
        idle_gpus=_idle_gpus(written),
    )


def _sync(written: spec.Sync | None) -> Sync | None:
    if written is None:
        return None
    codecs = written.codecs.model_dump(exclude_none=True) if written.codecs is not None else {}
    return Sync(
        method=written.method or Sync().method,
        every=written.every or 1,
        codecs=tuple(codecs.items()),
        num_streams=written.streams,
        num_fragments=written.fragments,
        num_delay_steps=written.delay,
        algorithm=written.algorithm or Sync().algorithm,
    )


def _replicas(written: spec.Plan) -> tuple[core.ReplicaRequest, ...] | None:
    if written.replicas is None:
        return None
    return tuple(
        core.ReplicaRequest(
            num_replicas=replica.num_replicas or 1,
            zones=replica.zones,
            num_microbatches=replica.num_microbatches,
            weight=replica.weight,
            own=None if replica.own is None else core.OwnRequest(**replica.own.model_dump()),
        )
        for replica in written.replicas
    )


def _idle_gpus(written: spec.Plan) -> tuple[IdleGpus, ...] | None:
    if written.idle_gpus is None:
        return None
    return tuple(
        IdleGpus(zone=idle.zone, node_group=idle.node_group or 0, num_gpus=idle.num_gpus) for idle in written.idle_gpus
    )


def _objective(written: spec.Objective) -> core.Objective:
    return core.Objective(
        minimize=written.minimize or core.Objective().minimize,
        budget_dollars=written.budget,
        deadline_seconds=written.deadline,
    )


def _constraints(written: spec.Constraints) -> core.Constraints:
    return core.Constraints(
        exclude_zones=written.exclude_zones,
        frameworks=written.frameworks,
        allow=written.allow,
        max_egress_dollars=written.max_egress,
        min_replica_batch_size=written.min_replica_batch,
    )
