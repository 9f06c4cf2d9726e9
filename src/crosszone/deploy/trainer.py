"""The configuration of our own trainer, from a plan: every number resolved."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from crosszone.core.bundle import NO_CHECKPOINTS, DeployRequest, Program
from crosszone.core.codec import to_json
from crosszone.core.deepspeed_config import CONFIG_NAME
from crosszone.core.plan import Plan, zone_plans
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.timeouts import Timeouts, timeouts
from crosszone.core.train import (
    LOCAL_FRAMEWORKS,
    ZONE_CODECS,
    TrainCheckpoint,
    TrainConfig,
    TrainData,
    TrainLocal,
    TrainOptimizer,
    TrainOwn,
    train_problems,
)
from crosszone.core.workload import Dtypes
from crosszone.cost.sync import is_local, sync_method
from crosszone.cost.sync.exchange import LATE_OWN_FRACTION
from crosszone.deploy.pipeline_parts import recomputed_layers
from crosszone.deploy.ranks import single_replicas
from crosszone.deploy.rotation import rotation_assumptions
from crosszone.errors import Finding, InfeasiblePlan
from crosszone.frameworks.rules import HIERARCHICAL, SUMS
from crosszone.timeline.sync_choice import num_delay_steps, num_fragments

CONFIG_PATH = "configs/train.json"
TRAINER_PROGRAM = Program(
    argv=("-m", "crosszone.runtime.train", CONFIG_PATH),
    check=("-m", "crosszone.checkpoints", CONFIG_PATH),
    saves_when_stopped=True,
)
TRAINER_REQUIREMENTS = ("torch==2.13.0", "transformers==5.23.0", "numpy==2.4.6")
"""What it was tested with: a restart next year, or a node that joins late, must not train with others."""
LEARNING_RATES = (
    (125e6, 6e-4), (350e6, 3e-4), (760e6, 2.5e-4), (1.3e9, 2e-4),
    (2.7e9, 1.6e-4), (6.7e9, 1.2e-4), (13e9, 1e-4), (175e9, 0.6e-4),
)  # fmt: skip
"""(parameters, peak rate): Brown et al. 2020, "Language Models are Few-Shot Learners", table 2.1."""
WARMUP_TOKENS = 375e6
"""Brown et al. 2020, appendix B; the decay to a tenth and the other constants of AdamW are from there too."""
MOST_WARMUP_FRACTION = 0.1
"""Of all steps. Chosen: short trainings reach their peak rate."""
CHECKPOINT_SECONDS = 3600.0
"""Where no failures are known of. Chosen: an hour is lost at most."""
IDENTITY_STEPS = 100
"""Chosen: a check of replicas costs less than one step in a hundred."""
LEVEL_OF_SLOW_STEPS = 0.99
SYNTHETIC_SAMPLES = 1 << 32
"""Chosen: more than are trained on, and the same for every number of steps, on which no order must depend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Of a run, and not of what trains it."""

    num_steps: int
    optimizer: TrainOptimizer
    data: TrainData
    checkpoint: TrainCheckpoint | None
    """None: nothing is saved."""


def train_files(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> dict[str, str]:
    """What `python -m crosszone.runtime.train` reads, by path; nothing where a person's own program runs.

    Errors: InfeasiblePlan where the trainer cannot do what the plan says, SpecError where a number is missing.
    """
    if request.entry_text is not None:
        return {}
    config = trainer_config(problem, plan, prediction, request)
    return {CONFIG_PATH: json.dumps(to_json(config), indent=2, ensure_ascii=False, allow_nan=False) + "\n"}


def trainer_config(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> TrainConfig:
    """What the trainer is told. Errors as `train_files`."""
    workload, settings = problem.workload, run_settings(problem, plan, prediction, request)
    config = TrainConfig(
        fingerprint=prediction.fingerprint,
        framework=plan.framework,
        device=request.device,
        backend="nccl" if request.device == "cuda" else "gloo",
        model=problem.model,
        num_steps=settings.num_steps,
        sequence_length=workload.sequence_length,
        microbatch_size=plan.microbatch_size,
        rank_microbatches=tuple(replica.num_microbatches for replica in single_replicas(plan)),
        rank_zones=_rank_zones(plan),
        zone_codec=_zone_codec(plan),
        local=_local(problem, plan),
        own=_own(plan),
        stage_layers=tuple(stage.num_layers for stage in plan.stages) if plan.pp > 1 else (),
        dp_shard=plan.dp_shard,
        shard=plan.shard,
        offload=plan.offload,
        recompute=plan.recompute,
        recomputed_layers=recomputed_layers(plan),
        attention=workload.attention,
        dtypes=_dtypes(problem, plan),
        bucket_bytes=plan.bucket_bytes,
        prefetch=plan.prefetch,
        deepspeed_config=f"../{CONFIG_NAME}" if plan.framework == "deepspeed" else None,
        optimizer=settings.optimizer,
        data=settings.data,
        checkpoint=settings.checkpoint,
        identity_every_steps=IDENTITY_STEPS,
        log_folder="../logs",
        timeouts=ladder(problem, plan, prediction),
    )
    findings = tuple(train_problems(config))
    if findings:
        raise InfeasiblePlan(*findings)
    return config


def run_settings(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> RunSettings:
    """What a run is told whatever trains it.

    Errors: InfeasiblePlan for what no renderer writes yet.
    """
    beyond = tuple(_beyond_renderers(problem, plan))
    if beyond:
        raise InfeasiblePlan(*beyond)
    num_steps = _num_steps(problem, request)
    return RunSettings(
        num_steps=num_steps,
        optimizer=_optimizer(problem, prediction, num_steps),
        data=_data(problem, request),
        checkpoint=_checkpoint(problem, plan, prediction, request),
    )


def trainer_assumptions(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest
) -> tuple[str, ...]:
    """What the configuration rests on that nobody wrote."""
    found = [
        f"Learning rate {usual_learning_rate(prediction):g}, warm-up and decay: Brown et al. 2020, as for GPT-3 "
        "models of this size."
    ]
    if request.data_path is None:
        found.append("Tokens are synthetic: no file was named with --data.")
    found += rotation_assumptions(problem.model)
    if _is_local(plan):
        found.append(
            "Zones step by themselves: ranks that are asked to end do so at the next exchange, within "
            f"{plan.sync.every} steps, and checkpoints are saved where zones have met."
        )
    way = sync_method(plan.sync.method)
    if _is_local(plan) and way.HAS_OUTER_STEP:
        found.append(
            f"Outer steps are Nesterov's, rate {way.OUTER_LEARNING_RATE:g} and momentum {way.OUTER_MOMENTUM:g}: "
            "Douillard et al. 2023 (DiLoCo)."
        )
    reliability = prediction.reliability
    is_unknown = reliability is None or reliability.checkpoint_every_seconds is None
    if is_unknown and request.checkpoint_folder != NO_CHECKPOINTS:
        found.append("A checkpoint every hour: how often nodes fail is not known (mtbf).")
    return tuple(found)


def usual_learning_rate(prediction: Prediction) -> float:
    """The peak rate of the published model whose size is nearest by ratio."""
    size = max(prediction.num_parameters, 1)
    return min(LEARNING_RATES, key=lambda row: abs(math.log(size / row[0])))[1]


def ladder(problem: Problem, plan: Plan, prediction: Prediction) -> Timeouts:
    """Time-outs from the longest round trip between zones that work, a slow step, and the wait for a checkpoint."""
    zones = plan.zones
    links = [link for link in problem.cluster.links if link.from_zone in zones and link.to_zone in zones]
    slow = [each.high_seconds for each in prediction.intervals if each.level <= LEVEL_OF_SLOW_STEPS]
    # Zones that step by themselves wait for each other once in so many steps: for all of them, and to stop.
    between = plan.sync.every if is_local(plan.sync.method) else 1
    return timeouts(
        rtt_seconds=max((2.0 * link.latency_seconds for link in links), default=0.0),
        p99_step_seconds=between * max(slow, default=prediction.step_seconds),
        checkpoint_stall_seconds=prediction.reliability.checkpoint_seconds if prediction.reliability else 0.0,
    )


def _beyond_renderers(problem: Problem, plan: Plan) -> Iterator[Finding]:
    """What the plan or workload asks for that no renderer writes yet."""
    sync, workload = plan.sync, problem.workload
    crosses = len(plan.zones) > 1
    if crosses and not _is_local(plan) and (sync.method not in SUMS or sync.every > 1):
        hint = "Take ddp or fsdp." if is_local(sync.method) else "Set sync.method=flat and every=1."
        yield _no_renderer(f"{sync.method} every {sync.every} steps under {plan.framework}", "plan.sync", hint)
    own = (sync_method(sync.method).STREAM, _zone_codec(plan) or _reduction_codec(plan))
    coded = [f"{stream}={codec}" for stream, codec in sync.codecs if codec != "none" and (stream, codec) != own]
    if crosses and coded:
        yield _no_renderer(f"codecs ({', '.join(coded)})", "plan.sync.codecs", "Leave codecs out.")
    if workload.optimizer != "adamw":
        yield _no_renderer(f"the optimizer {workload.optimizer}", "workload.optimizer", "Take adamw.")
    if workload.trainable != "all":
        yield _no_renderer(
            f"trainable={workload.trainable}", "workload.trainable", "Take all, or a program of your own as entry."
        )
    sequences = plan.num_sequences
    if sequences != workload.global_batch_size:
        yield Finding(
            code="batch_identity",
            where="workload.global_batch_size",
            message=f"the replicas consume {sequences} sequences a step, but global_batch_size is "
            f"{workload.global_batch_size}.",
            hint="Take a plan for this batch.",
        )


def _is_local(plan: Plan) -> bool:
    """Whether our trainer lets each zone step by itself."""
    return is_local(plan.sync.method) and "dp" in plan.zone_axis and plan.framework in LOCAL_FRAMEWORKS


def _local(problem: Problem, plan: Plan) -> TrainLocal | None:
    way, sync = sync_method(plan.sync.method), plan.sync
    if not _is_local(plan):
        return None
    outer = (way.OUTER_LEARNING_RATE, way.OUTER_MOMENTUM) if way.HAS_OUTER_STEP else (1.0, 0.0)
    return TrainLocal(
        every=sync.every,
        num_fragments=num_fragments(sync, problem.model.num_layers),
        num_delay_steps=num_delay_steps(sync),
        outer_learning_rate=outer[0],
        outer_momentum=outer[1],
        own_fraction=LATE_OWN_FRACTION if num_delay_steps(sync) else 0.0,
    )


def _own(plan: Plan) -> tuple[TrainOwn, ...]:
    """What the ranks of each zone do otherwise, in the order of the numbers that `_rank_zones` gives them."""
    if not plan.has_own_degrees:
        return ()
    return tuple(
        TrainOwn(
            microbatch_size=part.microbatch_size,
            dp_shard=part.dp_shard,
            shard=part.shard,
            recompute=part.recompute,
            recomputed_layers=recomputed_layers(part),
        )
        for part in zone_plans(plan)
    )


def _rank_zones(plan: Plan) -> tuple[int, ...]:
    """Where our trainer sums gradients once per zone, or in each alone, the zone of each rank.

    Groups of FSDP sum once per zone by themselves.
    """
    sums_by_hook = plan.framework == "ddp" and plan.sync.method == HIERARCHICAL and "dp" in plan.zone_axis
    if not sums_by_hook and not _is_local(plan):
        return ()
    return tuple(plan.zones.index(replica.zones[0]) for replica in single_replicas(plan))


def _zone_codec(plan: Plan) -> str | None:
    """The format of what our trainer sends between zones, if the plan asks for one that it knows."""
    codec = dict(plan.sync.codecs).get(sync_method(plan.sync.method).STREAM)
    return codec if codec in ZONE_CODECS and _rank_zones(plan) else None


def _reduction_codec(plan: Plan) -> str | None:
    """The format in which FSDP adds up gradients in and between zones, if the plan has one for what crosses them."""
    if plan.framework != "fsdp" or plan.sync.method not in SUMS:
        return None
    return dict(plan.sync.codecs).get("gradients")


def _dtypes(problem: Problem, plan: Plan) -> Dtypes:
    dtypes, codec = problem.workload.dtypes, _reduction_codec(plan)
    return dtypes if codec in (None, "none") else replace(dtypes, gradient_reduction=codec)


def _no_renderer(what: str, where: str, hint: str) -> Finding:
    return Finding(code="no_renderer", where=where, message=f"there is no renderer for {what} yet.", hint=hint)


def _num_steps(problem: Problem, request: DeployRequest) -> int:
    num_steps = request.num_steps or problem.workload.num_steps
    assert num_steps is not None, "check_request saw to it"
    return num_steps


def _optimizer(problem: Problem, prediction: Prediction, num_steps: int) -> TrainOptimizer:
    wanted = math.ceil(WARMUP_TOKENS / problem.workload.global_batch_tokens)
    num_warmup_steps = min(wanted, math.floor(MOST_WARMUP_FRACTION * num_steps))
    return TrainOptimizer(
        learning_rate=usual_learning_rate(prediction),
        num_warmup_steps=num_warmup_steps,
        num_decay_steps=max(num_steps - num_warmup_steps, 1),
    )


def _data(problem: Problem, request: DeployRequest) -> TrainData:
    token_bytes = 2 if problem.model.vocab_size <= 2**16 else 4
    if request.data_path is not None:
        return TrainData(path=request.data_path, token_bytes=token_bytes)
    return TrainData(path=None, token_bytes=token_bytes, num_samples=SYNTHETIC_SAMPLES)


def _checkpoint(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> TrainCheckpoint | None:
    if request.checkpoint_folder == NO_CHECKPOINTS:
        return None
    reliability = prediction.reliability
    every_seconds = (reliability.checkpoint_every_seconds if reliability else None) or CHECKPOINT_SECONDS
    # Zones that step by themselves meet to save: where they have just met, nobody waits.
    between = plan.sync.every if _is_local(plan) else 1
    num_kept = problem.workload.checkpoint.num_kept
    return TrainCheckpoint(
        folder=request.checkpoint_folder or "../checkpoints",
        every_steps=between * max(1, math.ceil(round(every_seconds / prediction.step_seconds) / between)),
        **({} if num_kept is None else {"num_kept": num_kept}),
    )
