"""How much longer than its steps a training takes: what is ranked, and what limits hold for."""

import itertools
import math

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.timeline.dataset import reading
from crosszone.timeline.finish import outlook
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.threats import Footprint, plan_footprint, threats_to


def layout_wall_ratio(inputs: Inputs, layout: Layout, step_seconds: float) -> float:
    """P50 of the wall time / time of the steps, were all GPUs of the layout's pools at work and nothing kept twice.

    1 where it is unknown, or nothing asks for it. Without an end: wall time over the time of the steps in the long run.
    """
    if not _is_asked(inputs.problem) or not math.isfinite(step_seconds):
        return 1.0
    return _ratio(inputs.problem, _whole(inputs, layout), step_seconds)


def plan_wall_ratio(inputs: Inputs, layout: Layout, plan: Plan, step_seconds: float) -> float:
    """The same of one plan of the layout, as its prediction says it."""
    if not _is_asked(inputs.problem):
        return 1.0
    return _ratio(inputs.problem, plan_footprint(plan, _pairs(inputs, layout)), step_seconds)


def layout_failures_per_second(inputs: Inputs, layout: Layout) -> tuple[float, float]:
    """(of all nodes of the layout's pools, of the paths between its zones); NaN where one is unknown."""
    threats = threats_to(inputs.problem, _whole(inputs, layout))
    links = threats.link_failures_per_second or 0.0
    if threats.mtbf_seconds is None:
        return math.nan, links
    return 1.0 / threats.mtbf_seconds - links, links


def step_data_dollars(problem: Problem, plan: Plan, step_seconds: float) -> float:
    """Egress of the data that zones read, spread over the steps; NaN where its price is unknown."""
    steps = problem.workload.num_steps
    dollars = reading(problem, plan, (), step_seconds).egress_dollars
    return 0.0 if steps is None else np.nan if dollars is None else dollars / steps


def _is_asked(problem: Problem) -> bool:
    """Where there is an end, or goodput is what the job maximises."""
    return problem.workload.num_steps is not None or problem.objective.minimize == "goodput"


def _ratio(problem: Problem, footprint: Footprint, step_seconds: float) -> float:
    whole, steps = outlook(problem, footprint, step_seconds, with_p90=False), problem.workload.num_steps
    if whole.goodput_fraction == 0.0:
        return math.inf
    p50_seconds = whole.finish.p50_seconds
    if steps is None:
        return 1.0 if whole.goodput_fraction is None else 1.0 / whole.goodput_fraction
    return 1.0 if p50_seconds is None else p50_seconds / (steps * step_seconds)


def _whole(inputs: Inputs, layout: Layout) -> Footprint:
    """All GPUs of the layout's pools, and the paths between its zones."""
    pools = [inputs.pools[index] for index in sorted({pool for chain in layout.chains for pool in chain})]
    num_gpus = tuple((pool.zone.name, pool.node_group_index, pool.node_group.num_gpus) for pool in pools)
    return Footprint(num_gpus=num_gpus, pairs=_pairs(inputs, layout), num_copies=1)


def _pairs(inputs: Inputs, layout: Layout) -> frozenset[tuple[str, str]]:
    """Zones that exchange gradients, or whose stages follow each other."""
    zones, zone = inputs.problem.cluster.zones, inputs.hardware.zone
    ring = [*layout.ring, *layout.ring[:1]] if len(layout.ring) > 1 else []
    hops = list(itertools.pairwise(ring))
    hops += [(int(zone[a]), int(zone[b])) for chain in layout.chains for a, b in itertools.pairwise(chain)]
    named = [sorted((zones[start].name, zones[end].name)) for start, end in hops if start != end]
    return frozenset((first, second) for first, second in named)
