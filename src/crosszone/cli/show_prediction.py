"""A prediction as people read it: the answer first, then where the time, the memory and the traffic go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_checks import checks_view
from crosszone.cli.tables import Column, bar, bullets, heading, pairs, paragraph, table
from crosszone.core.answer import RankedPlan
from crosszone.core.plan import IdleGpus, Plan, Sync, recompute_words, zone_plans
from crosszone.core.prediction import Agreement, Link, Memory, Prediction, StageMemory
from crosszone.core.problem import Problem

MEMORY_BAR_WIDTH = 16
NUM_LISTED = 8
"""Assumptions and warnings shown before `--verbose` is needed."""

_VERDICT_STYLES = {"fits": "green", "tight": "yellow"}


def prediction_view(problem: Problem, ranked: RankedPlan, *, is_verbose: bool) -> Iterator[RenderableType]:
    """Everything that `crosszone predict` shows."""
    plan, prediction = ranked.plan, ranked.prediction
    yield Text(problem_line(problem), style="bold")
    yield paragraph(f"{degrees(plan)}; {plan_details(plan)}")
    yield Text("")
    yield pairs(_headline(problem, plan, prediction))
    yield heading("Where the step goes")
    yield _terms_table(prediction)
    if is_verbose:
        yield pairs((term.name, f"{term.formula}  [{term.source}]") for term in prediction.terms)
    yield heading("Memory of one GPU")
    yield _memory_table(prediction.memory)
    yield pairs([(f"stage {stage.stage}", stage_parts(stage)) for stage in _fullest(prediction.memory)])
    if prediction.links:
        yield heading("Zone links in one step")
        yield _links_table(prediction.links)
    if plan.idle_gpus:
        yield heading("Idle GPUs")
        yield bullets(idle_lines(plan.idle_gpus))
    yield from checks_view(ranked.checks, is_verbose=is_verbose)
    for title, lines in (("Assumed", prediction.assumed), ("Warnings", prediction.warnings)):
        if lines:
            yield heading(title)
            said = grouped(lines)
            yield bullets(shortened(said, len(said) if is_verbose else NUM_LISTED))


def problem_line(problem: Problem) -> str:
    """What is trained, on what."""
    workload, cluster = problem.workload, problem.cluster
    num_zones = len(cluster.zones)
    return (
        f"{problem.model.name} on {cluster.num_gpus} GPUs in {num_zones} {'zone' if num_zones == 1 else 'zones'}, "
        f"{workload.global_batch_size} sequences of {workload.sequence_length} tokens a step"
    )


def degrees(plan: Plan) -> str:
    """The degrees that are not 1: "tp8 pp4 dp6"."""
    named = [("tp", plan.tp), ("cp", plan.cp), ("pp", plan.pp), ("dp", plan.dp), ("ep", plan.ep)]
    shown = [f"{name}{degree}" for name, degree in named if degree > 1]
    return " ".join(shown) or "one GPU"


def plan_details(plan: Plan) -> str:
    """Framework, order of work, sharding and zones of a plan, in words."""
    return ", ".join(plan_parts(plan))


def plan_parts(plan: Plan) -> list[str]:
    """What `plan_details` says, piece by piece."""
    if plan.has_own_degrees:
        apart = [f"{part.zones[0]}: {', '.join(_work_parts(part))}" for part in zone_plans(plan)]
        parts = [plan.framework, f"each zone in its own way ({'; '.join(apart)})"]
    else:
        parts = [plan.framework, *_work_parts(plan)]
    if plan.sequence_parallel:
        parts.append("sequence parallel")
    if plan.offload != "none":
        parts.append(f"offload {plan.offload}")
    if "dp" in plan.zone_axis and plan.sync != Sync():
        parts.append(sync_words(plan.sync))
    zones = ", ".join(plan.zones)
    return [*parts, f"in {zones}" if plan.zone_axis == "none" else f"{plan.zone_axis} across {zones}"]


def _work_parts(plan: Plan) -> list[str]:
    """How replicas work off their batch, piece by piece."""
    parts = [f"microbatch {plan.microbatch_size}"]
    if plan.pp > 1:
        parts.append(plan.schedule)
    if plan.num_virtual_stages > 1:
        parts.append(f"{plan.num_virtual_stages} virtual stages")
    parts.append(f"recompute {recompute_words(plan)}")
    parts.append(f"shard {plan.shard}" + (f" over {plan.dp_shard}" if plan.dp_shard > 1 else ""))
    return parts


def sync_words(sync: Sync | Agreement) -> str:
    """How zones agree, as "diloco every 100 steps, pseudogradients as int4"."""
    parts = [sync.method if sync.every == 1 else f"{sync.method} every {sync.every} steps"]
    if (sync.num_fragments or 1) > 1:
        parts.append(f"in {sync.num_fragments} parts")
    if sync.num_delay_steps:
        parts.append(f"up to {sync.num_delay_steps} {'step' if sync.num_delay_steps == 1 else 'steps'} late")
    return ", ".join([*parts, *(f"{stream} as {name}" for stream, name in sync.codecs)])


def agreement_line(sync: Agreement) -> str:
    """How zones agree, how much they send and how fast."""
    parts = [sync_words(sync)]
    if sync.exchange_bytes > 0.0:
        parts.append(
            f"{units.format_bytes(sync.exchange_bytes)} over each link in {units.format_seconds(sync.exchange_seconds)}"
        )
        mean, peak = (
            units.format_bytes_per_second(rate) for rate in (sync.mean_bytes_per_second, sync.peak_bytes_per_second)
        )
        parts.append(f"{mean} on average, {peak} at its peak")
    return ", ".join(parts)


def idle_lines(idle_gpus: Iterable[IdleGpus]) -> list[str]:
    """Which GPUs the plan leaves alone."""
    return [f"{idle.num_gpus} in {idle.zone}, node group {idle.node_group}" for idle in idle_gpus]


def grouped(lines: Iterable[str]) -> tuple[str, ...]:
    """Each message once, with its first place and how many there are: "cluster.zones[0].nodes[0].gpu (×4): ..."."""
    places: dict[str, list[str]] = {}
    for line in lines:
        place, _, message = line.partition(": ") if ": " in line else ("", "", line)
        places.setdefault(message, []).append(place)
    return tuple(
        f"{where[0]} (×{len(where)}): {message}"
        if len(where) > 1
        else ": ".join(part for part in (where[0], message) if part)
        for message, where in places.items()
    )


def shortened(lines: tuple[str, ...], num_lines: int) -> list[str]:
    """The first `num_lines`, and how many more there are."""
    rest = len(lines) - num_lines
    return [*lines[:num_lines], *([f"and {rest} more (--verbose)"] if rest > 0 else [])]


def stage_parts(stage: StageMemory) -> str:
    """What fills one GPU of a stage, without what is zero."""
    parts = [
        ("weights", stage.weight_bytes),
        ("gradients", stage.gradient_bytes),
        ("optimizer", stage.optimizer_bytes),
        ("activations", stage.activation_bytes),
        ("buffers", stage.buffer_bytes),
        ("overhead", stage.overhead_bytes),
    ]
    return " + ".join(f"{name} {units.format_bytes(size)}" for name, size in parts if size != 0)


def _headline(problem: Problem, plan: Plan, prediction: Prediction) -> Iterator[tuple[str, str | Text]]:
    memory = prediction.memory
    ranges = [
        f"  ({units.format_seconds(interval.low_seconds)} to {units.format_seconds(interval.high_seconds)} "
        f"at {units.format_fraction(interval.level)})"
        for interval in prediction.intervals[-1:]
    ]
    yield "step", Text.assemble((units.format_seconds(prediction.step_seconds), "bold"), *ranges)
    yield (
        "speed",
        f"{units.format_count(prediction.tokens_per_second)} tokens/s, "
        f"{units.format_count(prediction.tokens_per_second_per_gpu)} per GPU",
    )
    yield (
        "MFU",
        f"{units.format_fraction(prediction.mfu)}, "
        f"{units.format_flop_per_second(prediction.model_flop_per_second_per_gpu)} per GPU; "
        f"HFU {units.format_fraction(prediction.hfu)}",
    )
    yield "spent on", ", ".join(f"{100 * share:.0f} % {name}" for name, share in _shares(prediction))
    yield "batch", _batch(problem, plan)
    verdict = Text(memory.verdict, style=_VERDICT_STYLES.get(memory.verdict, "bold red"))
    yield "memory", Text.assemble(f"{_used(memory.peak_bytes, memory.capacity_bytes)}: ", verdict)
    if len(plan.zones) > 1:
        yield "zones cost", f"{prediction.cross_zone_penalty_ratio:.2f}× the step of one ideal zone"
    if prediction.sync is not None:
        yield "zones agree", agreement_line(prediction.sync)
        if prediction.sync.changes_mathematics:
            yield "its effect", prediction.sync.effect
    yield from _interruptions(prediction)
    if prediction.train_seconds is not None:
        yield "training", _training(problem, prediction)
        yield "cost", _cost(prediction)
        if prediction.energy_joules is not None:
            yield "energy", f"{units.format_joules(prediction.energy_joules)}, GPUs alone"


def _shares(prediction: Prediction) -> Iterator[tuple[str, float]]:
    """What the step is spent on."""
    yield "compute", prediction.compute_fraction
    yield "exposed communication", prediction.exposed_communication_fraction
    yield "bubble", prediction.bubble_fraction
    yield "other", prediction.other_fraction


def _batch(problem: Problem, plan: Plan) -> str:
    """How the global batch comes about: microbatch × accumulation × replicas."""
    batch, tokens = problem.workload.global_batch_size, units.format_count(problem.workload.global_batch_tokens)
    if plan.has_own_degrees:
        shared = " + ".join(f"{part.num_sequences} in {part.zones[0]}" for part in zone_plans(plan))
        return f"{shared} = {batch} sequences ({tokens} tokens)"
    replicas: dict[int, int] = {}
    for replica in plan.replicas:
        replicas[replica.num_microbatches] = replicas.get(replica.num_microbatches, 0) + replica.num_replicas
    shared = " + ".join(
        f"{count} accumulated × dp {number}" for count, number in sorted(replicas.items(), reverse=True)
    )
    shared = f"({shared})" if len(replicas) > 1 else shared
    return f"microbatch {plan.microbatch_size} × {shared} = {batch} sequences ({tokens} tokens)"


def _training(problem: Problem, prediction: Prediction) -> str:
    finish, tokens = prediction.finish, units.format_count(problem.workload.train_tokens)
    text = f"{units.format_seconds(prediction.train_seconds)} for {tokens} tokens"
    if finish.p50_seconds is None:
        return text
    p50, p90 = units.format_seconds(finish.p50_seconds), units.format_seconds(finish.p90_seconds)
    if finish.p50_seconds == finish.p90_seconds:
        return f"{text}; {p50} with checkpoints (P50 and P90: nine of ten such trainings see no failure)"
    return f"{text}; with failures {p50} (P50), {p90} (P90)"


def _interruptions(prediction: Prediction) -> Iterator[tuple[str, str | Text]]:
    """Goodput, and the failures and checkpoints that it comes from."""
    reliability = prediction.reliability
    if prediction.goodput_fraction is None or reliability is None:
        return
    mtbf, every = reliability.mtbf_seconds, reliability.checkpoint_every_seconds
    yield (
        "goodput",
        f"{units.format_fraction(prediction.goodput_fraction)}: a failure every {units.format_seconds(mtbf)}, then "
        f"{units.format_seconds(reliability.restart_seconds)} to restart; a checkpoint of "
        f"{units.format_bytes(reliability.checkpoint_bytes)} every {units.format_seconds(every)} stops training for "
        f"{units.format_seconds(reliability.checkpoint_seconds)}",
    )


def _cost(prediction: Prediction) -> str:
    costs = prediction.costs
    text = f"GPUs {units.format_dollars(prediction.gpu_dollars)}"
    if costs is not None and costs.idle_gpu_dollars:
        text += f" ({units.format_dollars(costs.idle_gpu_dollars)} of it idle)"
    text += f", egress {units.format_dollars(prediction.egress_dollars)}"
    if costs is not None and costs.storage_dollars:
        text += f", storage {units.format_dollars(costs.storage_dollars)}"
    if costs is not None and costs.total_dollars is not None:
        text += f"; {units.format_dollars(costs.total_dollars)} with failures and checkpoints"
    return text


def _used(used_bytes: float, capacity_bytes: float) -> str:
    return f"{units.format_bytes(used_bytes)} of {units.format_bytes(capacity_bytes)}"


def _terms_table(prediction: Prediction) -> RenderableType:
    columns = [
        Column(name="term", is_flexible=True),
        Column(name="exposed", is_number=True),
        Column(name="", is_number=False),
        Column(name="hidden", is_number=True),
    ]
    terms = [term for term in prediction.terms if term.exposed_seconds != 0 or term.overlapped_seconds != 0]
    return table(
        columns,
        [
            (
                term.name.replace("_", " "),
                units.format_seconds(term.exposed_seconds),
                bar(term.exposed_seconds, prediction.step_seconds),
                units.format_seconds(term.overlapped_seconds) if term.overlapped_seconds else "",
            )
            for term in sorted(terms, key=lambda term: -term.exposed_seconds)
        ],
    )


def _memory_table(memory: Memory) -> RenderableType:
    columns = [
        Column(name="stage"),
        Column(name="zone", is_flexible=True),
        Column(name="GPU", is_flexible=True),
        Column(name="layers", is_number=True),
        Column(name="needs", is_number=True),
        Column(name="has", is_number=True),
        Column(name=""),
    ]
    rows = []
    for _, alike in groupby(memory.stages, key=_stage_looks):
        first, *others = alike
        rows.append(
            (
                f"{first.stage}–{others[-1].stage}" if others else str(first.stage),
                first.zone,
                first.gpu,
                str(first.num_layers),
                units.format_bytes(first.total_bytes),
                units.format_bytes(first.capacity_bytes),
                bar(first.total_bytes, first.capacity_bytes, width=MEMORY_BAR_WIDTH, style="green"),
            )
        )
    return table(columns, rows)


def _stage_looks(stage: StageMemory) -> tuple[str, str, int, str]:
    """What a row shows of a stage: neighbours that look alike share a row."""
    return stage.zone, stage.gpu, stage.num_layers, units.format_bytes(stage.total_bytes)


def _fullest(memory: Memory) -> list[StageMemory]:
    return [stage for stage in memory.stages if stage.total_bytes == memory.peak_bytes][:1]


def _links_table(links: tuple[Link, ...]) -> RenderableType:
    columns = [
        Column(name="link", is_flexible=True),
        Column(name="sends", is_number=True),
        Column(name="at", is_number=True),
        Column(name="takes", is_number=True),
        Column(name="exposed", is_number=True),
        Column(name="busy", is_number=True),
        Column(name="USD/h", is_number=True),
    ]
    return table(
        columns,
        [
            (
                f"{link.from_zone} → {link.to_zone}" + (f" ({_groups(link)})" if link.groups else ""),
                units.format_bytes(link.step_bytes),
                units.format_bytes_per_second(link.bytes_per_second),
                units.format_seconds(link.raw_seconds),
                units.format_seconds(link.exposed_seconds),
                units.format_fraction(link.utilization_fraction),
                "unknown" if link.dollars_per_hour is None else f"{link.dollars_per_hour:.3g}",
            )
            for link in links
        ],
    )


def _groups(link: Link) -> str:
    return ", ".join(dict.fromkeys(group.group for group in link.groups))
