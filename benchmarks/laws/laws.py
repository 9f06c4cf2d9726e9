"""The laws that predictions across zones keep, counted over random plans."""

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from draw import CODECS, Drawn, drawn, improved, relabelled

from crosszone.core.plan import Sync
from crosszone.core.problem import Problem
from crosszone.core.schedules import traits
from crosszone.cost.sync import sync_method
from crosszone.frameworks import framework_facts
from crosszone.timeline.chain import chain_pipeline, slowest_chain
from crosszone.timeline.closing_spans import closing, draw_closing
from crosszone.timeline.evaluate import Evaluation, evaluate, memory, with_pipeline
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import Keyed, keyed
from crosszone.timeline.links import plan_links
from crosszone.timeline.paths import shared
from crosszone.timeline.pipeline_spans import Drawing, draw_pipeline
from crosszone.timeline.replay import IN_PIPELINE, Replay, _group
from crosszone.timeline.rings import best_ring, best_tree
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import Pipeline, makespan_seconds, with_orders
from crosszone.timeline.tabulate import tabulate
from crosszone.timeline.terms import BUBBLE, COMMUNICATION, COMPUTE, OTHER, terms
from crosszone.timeline.zone_agreement import exchange_pairs, zone_agreement

SLACK = 1e-9
"""Relative difference that arithmetic may leave."""
LOCAL = ("local_sgd", "diloco", "streaming_diloco")

FASTER = "better links are never slower"
RELABELLED = "other names and another order of the file change nothing"
ONE_ZONE = "one zone sends nothing between zones"
SPAN_BYTES = "bytes of the spans on a link are its step_bytes"
TERMS = "terms add up to the step, none is negative"
FRACTIONS = "fractions add up to 1"
LINK_EXPOSED = "a link's exposed seconds are within the step"
OVERLAPPED = "a step is no shorter than its longest part, no longer than their sum"
FEWER_BYTES = "codecs and streams never send more"
HIERARCHICAL = "once per zone never sends more between zones than a flat ring"
RARELY = "agreeing less often sends less in the mean"
MEMORY = "local steps take no less memory than synchronous ones"
LAWS = (
    FASTER, RELABELLED, ONE_ZONE, SPAN_BYTES, TERMS, FRACTIONS, LINK_EXPOSED, OVERLAPPED, FEWER_BYTES, HIERARCHICAL,
    RARELY, MEMORY,
)  # fmt: skip

SHARED = "better links, shared by uplinks, nodes or replica groups"
QUEUED = "better links, one queue for several boundaries of a replica"
REORDERED = "better links, a generated order made anew"
REROUTED = "better links, ring or tree chosen anew"
ANOMALIES = (SHARED, QUEUED, REORDERED, REROUTED)
"""What may be slower on better links, and is no violation: its rate and size are told."""


@dataclass(slots=True)
class Tally:
    """What was found of one law."""

    cases: int = 0
    violations: int = 0
    largest: float = 0.0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)

    def add(self, excess: float, what: str = "") -> None:
        """One case, broken by `excess`, relative; within `SLACK` it holds."""
        self.cases += 1
        if not excess <= SLACK:  # also what is not a number
            self.violations += 1
            self.largest = max(self.largest, excess)
            self.examples.append(what)

    def merge(self, other: "Tally") -> None:
        """Add what was found elsewhere."""
        self.cases += other.cases
        self.violations += other.violations
        self.largest = max(self.largest, other.largest)
        self.seconds += other.seconds
        self.examples += other.examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """Plans of one problem in one table."""

    problem: Problem
    inputs: Inputs
    tables: Tables
    keys: Keyed
    evaluation: Evaluation


def tallies() -> dict[str, Tally]:
    """One for each law and each kind of anomaly."""
    return {name: Tally() for name in (*LAWS, *ANOMALIES)}


def check(seed: int, num_plans: int, found: dict[str, Tally]) -> None:
    """Draw one problem with `num_plans` plans, and hold each to every law."""
    draw = random.Random(seed)
    case = drawn(draw, num_plans)
    base = costed(case)
    pipelines = [[_ordered(pipeline) for pipeline in _pipelines(base, plan)] for plan in range(num_plans)]
    steps = _steps(base, pipelines)
    where = [f"seed {seed}, plan {plan}" for plan in range(num_plans)]
    _check_faster(draw, base, pipelines, steps, where, found)
    _check_relabelled(draw, case, steps, where, found)
    _check_bytes(draw, base, where, found)
    _check_memory(base, where, found)
    for plan in range(num_plans):
        _check_one(case, base, plan, where[plan], found)


def costed(case: Drawn, tables: list[Tables] | None = None, problem: Problem | None = None) -> Costed:
    """Cost all plans of a case at once."""
    problem = case.problem if problem is None else problem
    prepared = inputs(problem, (framework_facts(case.framework),))
    joined = _joined([tabulate(prepared, plan) for plan in case.plans] if tables is None else tables)
    keys = keyed(prepared, joined.plans, range(len(prepared.pools)))
    return _costed(problem, prepared, joined, keys)


def _costed(problem: Problem, prepared: Inputs, tables: Tables, keys: Keyed) -> Costed:
    found = evaluate(prepared, tables, keys)
    return Costed(problem=problem, inputs=prepared, tables=tables, keys=keys, evaluation=found)


def _joined(parts: list[Tables]) -> Tables:
    plans, replicas, stages, num_groups = [], [], [], 0
    for index, part in enumerate(parts):
        plans.append(dataclasses.replace(part.plans, layout=part.plans.layout + index))
        replicas.append(dataclasses.replace(part.replicas, plan=part.replicas.plan + index))
        stages.append(dataclasses.replace(part.stages, replica=part.stages.replica + num_groups))
        num_groups += len(part.replicas)
    return Tables(
        layouts=tuple(layout for part in parts for layout in part.layouts),
        plans=type(plans[0]).stack(plans),
        replicas=type(replicas[0]).stack(replicas),
        stages=type(stages[0]).stack(stages),
        settings=parts[0].settings,
    )


def _with_sync(base: Costed, sync: Sync) -> Tables:
    return dataclasses.replace(base.tables, settings=dataclasses.replace(base.tables.settings, sync=sync))


def _pipelines(base: Costed, plan: int) -> list[Pipeline]:
    groups = np.flatnonzero(base.tables.replicas.plan == plan).tolist()
    return [chain_pipeline(base.inputs, base.tables, base.evaluation, group) for group in groups]


def _ordered(pipeline: Pipeline) -> Pipeline:
    is_made = traits(pipeline.schedule).is_generated and len(pipeline.forward_seconds) > 1
    return with_orders(pipeline) if is_made else pipeline


def _steps(base: Costed, pipelines: list[list[Pipeline]]) -> list[float]:
    """Of each plan, with these pipelines of its replica groups."""
    spans = np.array([max(map(makespan_seconds, own)) for own in pipelines])
    found = with_pipeline(base.tables, base.evaluation, spans)
    agreement = found.pool_exposed_seconds + found.zone_exposed_seconds + found.late_seconds
    return [float(each) for each in spans + agreement + found.tie_seconds + found.optimizer_seconds]


@contextmanager
def _timed(*tally: Tally) -> Iterator[None]:
    start = time.perf_counter()
    yield
    for each in tally:
        each.seconds += (time.perf_counter() - start) / len(tally)


def _check_faster(
    draw: random.Random,
    base: Costed,
    pipelines: list[list[Pipeline]],
    steps: list[float],
    where: list[str],
    found: dict[str, Tally],
) -> None:
    """With rings and orders of work as they were."""
    with _timed(found[FASTER]):
        problem = improved(draw, base.problem)
        prepared = inputs(problem, base.inputs.frameworks)
        better = _costed(problem, prepared, base.tables, base.keys)
        new = [_pipelines(better, plan) for plan in range(len(steps))]
        kept = [
            [dataclasses.replace(pipe, orders=old.orders) for pipe, old in zip(pipes, own, strict=True)]
            for pipes, own in zip(new, pipelines, strict=True)
        ]
        remade = _steps(better, new)
        for plan, after in enumerate(_steps(better, kept)):
            found[_kind(base, better, plan)].add(after / steps[plan] - 1.0, where[plan])
            if any(pipe.orders is not None for pipe in pipelines[plan]):
                found[REORDERED].add(remade[plan] / steps[plan] - 1.0, where[plan])


def _kind(base: Costed, better: Costed, plan: int) -> str:
    """The law, or the anomaly that is possible here."""
    tables = base.tables
    layout = tables.layouts[int(tables.plans.layout[plan])]
    groups = np.flatnonzero(tables.replicas.plan == plan)
    rows = np.flatnonzero(np.isin(tables.stages.replica, groups) & base.evaluation.boundary.crosses)
    crossing = np.unique(tables.stages.replica[rows])
    zone, under = base.inputs.hardware.zone, shared(base.inputs)
    forth = [(int(zone[tables.stages.pool[row]]), int(zone[base.evaluation.boundary.next_pool[row]])) for row in rows]
    pairs = {pair for ends in forth for pair in (ends, ends[::-1])}
    uses = Counter(each for pair in pairs for each in under[pair] if not each.takes_turns)
    sync = tables.settings.sync
    hops = exchange_pairs(base.inputs, layout, "ring" if sync.method == "flat" else sync.algorithm)
    divided = Counter(each for start, end in hops for each in under[int(zone[start]), int(zone[end])])
    if len(crossing) > 1 or any(count > 1 for count in (*uses.values(), *divided.values())):
        return SHARED
    queues = Counter(
        (int(tables.stages.replica[row]), int(way.queue[row]))
        for row in rows
        for way in (base.evaluation.boundary.there, base.evaluation.boundary.back)
    )
    if any(count > 1 for count in queues.values()):
        return QUEUED
    ring = layout.ring
    if len(ring) > 2:
        zones = sorted(ring)
        trees = [best_tree(one.inputs.links, ring) for one in (base, better)]
        rings = [best_ring(one.inputs.links, zones) for one in (base, better)]
        is_tree = sync.algorithm == "tree" and sync.method != "flat"
        if is_tree and (trees[0] != trees[1] or rings[0] != rings[1]):
            return REROUTED
    return FASTER


def _check_relabelled(
    draw: random.Random, case: Drawn, steps: list[float], where: list[str], found: dict[str, Tally]
) -> None:
    with _timed(found[RELABELLED]):
        other = costed(relabelled(draw, case))
        after = _steps(other, [_pipelines(other, plan) for plan in range(len(steps))])
        for plan, before in enumerate(steps):
            found[RELABELLED].add(abs(after[plan] / before - 1.0), where[plan])


def _check_bytes(draw: random.Random, base: Costed, where: list[str], found: dict[str, Tally]) -> None:
    """Of other codecs, streams and periods, plan by plan."""
    sync = base.tables.settings.sync
    way = sync_method(sync.method)
    plain, packed = (
        dataclasses.replace(sync, codecs=codecs, num_streams=streams)
        for codecs, streams in (
            ((), 1),
            (((way.STREAM, draw.choice(CODECS)), ("activations", draw.choice(CODECS[:5]))), draw.choice((2, 8, 64))),
        )
    )
    with _timed(found[FEWER_BYTES]):
        less, more = (_costed(base.problem, base.inputs, _with_sync(base, one), base.keys) for one in (packed, plain))
        sent = [_sent_bytes(one) for one in (less, more)]
        for plan, name in enumerate(where):
            found[FEWER_BYTES].add(_excess(sent[0][plan], sent[1][plan]), name)
    with _timed(found[RARELY]):
        factor = draw.randint(2, 50)
        rarely = dataclasses.replace(sync, every=sync.every * factor)
        rare = zone_agreement(base.evaluation.view, _with_sync(base, rarely)).link_bytes / rarely.every
        often = base.evaluation.sync.link_bytes
        for plan, name in enumerate(where):
            found[RARELY].add(_excess(float(rare[plan]) * factor, float(often[plan])), name)
    with _timed(found[HIERARCHICAL]):
        codecs = tuple(pair for pair in sync.codecs if pair[0] == "gradients")
        ways = [
            dataclasses.replace(sync, method=method, algorithm=algorithm, codecs=codecs, num_delay_steps=None, every=1)
            for method, algorithm in (("hierarchical", sync.algorithm), ("flat", "ring"))
        ]
        totals = [_exchanged_bytes(base, _with_sync(base, one)) for one in ways]
        for plan, name in enumerate(where):
            found[HIERARCHICAL].add(_excess(totals[0][plan], totals[1][plan]), name)


def _excess(less: float, more: float) -> float:
    return less / more - 1.0 if more > 0.0 else less


def _sent_bytes(base: Costed) -> list[float]:
    """On each link that is used for the exchange, and of one microbatch over all boundaries between zones."""
    boundary = base.evaluation.boundary
    messages = base.tables.total(np.where(boundary.crosses, boundary.message_bytes, 0.0))
    return [float(each) for each in base.evaluation.sync.link_bytes + messages]


def _exchanged_bytes(base: Costed, tables: Tables) -> list[float]:
    """Of one exchange, over all links."""
    found = zone_agreement(base.evaluation.view, tables)
    sync, totals = tables.settings.sync, []
    for plan, layout in enumerate(tables.layouts):
        is_ring = sync.method == "flat" or bool(found.is_ring[plan])
        pairs = exchange_pairs(base.inputs, layout, "ring" if is_ring else sync.algorithm)
        totals.append(len(pairs) * float(found.link_bytes[plan]))
    return totals


def _check_memory(base: Costed, where: list[str], found: dict[str, Tally]) -> None:
    """Of the fullest rank: local ways against agreeing in every step."""
    with _timed(found[MEMORY]):
        plain = _fullest(base, memory(base.inputs, _with_sync(base, Sync()), base.keys))
        ways = [Sync(method=method, every=20, num_delay_steps=1) for method in LOCAL]
        held = [_fullest(base, memory(base.inputs, _with_sync(base, sync), base.keys)) for sync in ways]
        for plan, name in enumerate(where):
            found[MEMORY].add(_excess(plain[plan], min(each[plan] for each in held)), name)


def _fullest(base: Costed, held: Any) -> Any:
    return base.tables.most(held.total + held.host)


def _check_one(case: Drawn, base: Costed, plan: int, where: str, found: dict[str, Tally]) -> None:
    """Laws of one prediction: its terms, links and spans."""
    prepared = base.inputs
    with _timed(found[TERMS], found[FRACTIONS], found[LINK_EXPOSED], found[OVERLAPPED]):
        tables = dataclasses.replace(base.tables.rows(plan, plan + 1), layouts=(base.tables.layouts[plan],))
        tables = dataclasses.replace(
            tables, plans=dataclasses.replace(tables.plans, layout=np.zeros(1, dtype=np.int64))
        )
        one = evaluate(prepared, tables, base.keys.take(slice(plan, plan + 1)))
        spans = slowest_chain(prepared, tables, one)
        one = with_pipeline(tables, one, spans.total)
        parts = terms(prepared, tables, one, spans)
        seconds = {part.name: part.exposed_seconds for part in parts}
        step = sum(seconds.values())
        rest = one.pool_exposed_seconds + one.late_seconds + one.tie_seconds + one.optimizer_seconds
        inside = spans.total + float(rest[0])
        exposed = float(one.zone_exposed_seconds[0])
        smallest = min(min(part.exposed_seconds, part.overlapped_seconds) for part in parts)
        links = plan_links(prepared, tables, one, parts, step)
        found[TERMS].add(max(abs((inside + exposed) / step - 1.0), -smallest / step), where)
        shares = [sum(seconds[name] for name in names) / step for names in (COMPUTE, COMMUNICATION, BUBBLE, OTHER)]
        found[FRACTIONS].add(max(abs(sum(shares) - 1.0), -min(shares)), where)
        found[LINK_EXPOSED].add(max((link.exposed_seconds / step - 1.0 for link in links), default=0.0), where)
        found[OVERLAPPED].add(_overlap_excess(tables, one, step, inside), where)
    if len({name for replica in case.plans[plan].replicas for name in replica.zones}) == 1:
        crossing = seconds["zone_agreement"] + seconds["zone_pipeline_send"] + sum(link.step_bytes for link in links)
        found[ONE_ZONE].add(crossing, where)
    if not links:
        found[SPAN_BYTES].add(0.0)
        return
    with _timed(found[SPAN_BYTES]):
        replay = _replay(case, prepared, tables, one, parts, links, plan)
        drawing = Drawing()
        for group in replay.groups:
            draw_pipeline(drawing, replay, group)
        draw_closing(drawing, replay, closing(replay))
        moved: Counter[tuple[str, str]] = Counter()
        for span in drawing.spans:
            if span.track.to_zone is not None:
                moved[span.track.zone, span.track.to_zone] += span.moved_bytes
        wanted = {(link.from_zone, link.to_zone): link.step_bytes for link in links}
        excess = max((abs(moved[pair] / wanted.get(pair, 1e-30) - 1.0) for pair in {*moved, *wanted}), default=0.0)
        found[SPAN_BYTES].add(excess, where)


def _overlap_excess(tables: Tables, one: Evaluation, step: float, inside: float) -> float:
    """How far the step is above the sum of work and exchange, or below the longer of the two."""
    sync = tables.settings.sync
    total = float(one.sync.total_seconds[0])
    longest = inside
    if tables.settings.overlap_fraction is None:
        longest = max(inside, float(one.zone_agreement.transfer_seconds[0]) / sync.every)
    return max(longest / step - 1.0, step / (inside + total) - 1.0)


def _replay(
    case: Drawn, prepared: Inputs, tables: Tables, one: Evaluation, parts: Any, links: Any, plan: int
) -> Replay:
    """All that spans are drawn from; of the prediction only what they read."""
    step = sum(part.exposed_seconds for part in parts)
    after = sum(part.exposed_seconds for part in parts if part.name not in IN_PIPELINE)
    return Replay(
        plan=case.plans[plan],
        prediction=cast(Any, SimpleNamespace(step_seconds=step, terms=parts, links=links)),
        inputs=prepared,
        tables=tables,
        evaluation=one,
        bytes=cast(Any, None),
        groups=tuple(_group(prepared, tables, one, replica) for replica in range(len(tables.replicas))),
        start_seconds=float(one.late_seconds[0]),
        pipeline_end_seconds=step - after,
    )
