"""What links between zones add to lower bounds of a step.

A pipeline (T seconds) is never faster than a link that its stages cross: all hidden states of the batch pass it, once
for each of the v virtual stages of a rank. What zones exchange once a step takes X, of which the drain hides what the
backwards of one microbatch take: one of each of p stages, v parts of each. With m microbatches none takes longer than
T / m, so that the step takes

    S >= T + max(X - h T, 0)    with h = p / (m v)

For h <= 1 the right side grows with T, and holds for whatever bounds T.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from crosszone.core.layout import Layout
from crosszone.core.plan import SCHEDULES, SHARDS
from crosszone.core.schedules import traits
from crosszone.core.tables import Floats, Ints
from crosszone.core.workload import DTYPE_BYTES
from crosszone.planner.space import Space
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import achieved_bytes_per_second
from crosszone.timeline.zone_agreement import least_exchange_seconds

PARAMETERS = SHARDS.index("parameters")
LOOPS = np.array([traits(name).placement == "loop" for name in SCHEDULES])
"""Per schedule: a microbatch passes all ranks once for each virtual stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBounds:
    """One value per row of a space."""

    pipeline_seconds: Floats
    """What the busiest link alone takes; 0 where no stages cross."""
    exchange_seconds: Floats
    """X; 0 where it may be hidden altogether, or is not known."""
    hidden_fraction: Floats
    """h."""

    def step_seconds(self, rows: Ints, pipeline_seconds: Floats) -> Floats:
        """Least time of these rows, each of which has a pipeline of at least so long."""
        longer = np.maximum(pipeline_seconds, self.pipeline_seconds[rows])
        return longer + np.maximum(self.exchange_seconds[rows] - self.hidden_fraction[rows] * longer, 0.0)


def link_bounds(inputs: Inputs, space: Space) -> LinkBounds:
    """Of every row of `space`."""
    plans = space.plans
    passes = np.where(LOOPS[plans.schedule], plans.num_virtual_stages, 1)
    hidden = plans.pp / (space.num_microbatches.max(axis=1) * plans.num_virtual_stages)
    return LinkBounds(
        pipeline_seconds=passes * link_seconds(inputs, space.layout),
        exchange_seconds=np.where(hidden > 1.0, 0.0, _exchange_seconds(inputs, space)),
        hidden_fraction=hidden,
    )


def _exchange_seconds(inputs: Inputs, space: Space) -> Floats:
    """At least, of each row; 0 for weights that are gathered across zones beside all compute, which may hide them."""
    plans, fewest = space.plans, space.num_replicas.min(axis=1)
    may_span = (plans.shard > 0) & (plans.dp_shard > fewest)
    sharing = np.where((plans.shard > 0) & ~may_span, plans.dp_shard * plans.cp, 1)
    num_ranks, row = np.unique(plans.dp * plans.cp // sharing, return_inverse=True)
    all_reduce, halves = (
        least_exchange_seconds(inputs, space.layout, space.settings, num_ranks=num_ranks, spans=spans)[row]
        for spans in (False, True)
    )
    spanning = np.where(plans.shard == PARAMETERS, 0.0, np.minimum(all_reduce, halves))
    return np.where(may_span, spanning, all_reduce)


def link_seconds(inputs: Inputs, layout: Layout) -> float:
    """All hidden states of a step over each link that a single chain crosses, with a flow for every GPU; one way.

    0 where the job has them packed; of its own accord the search packs none.
    """
    sync = inputs.problem.plan.sync
    if len(layout.chains) > 1 or not layout.crosses_pp or (sync is not None and sync.packs_activations):
        return 0.0
    workload, zone = inputs.problem.workload, inputs.hardware.zone
    num_elements = workload.global_batch_size * workload.sequence_length * inputs.problem.model.hidden_size
    message_bytes = num_elements * DTYPE_BYTES[workload.dtypes.activations]
    pairs = [pair for pair in itertools.pairwise(layout.chains[0]) if zone[pair[0]] != zone[pair[1]]]
    most = int(inputs.hardware.num_gpus.max())
    return max(message_bytes / float(achieved_bytes_per_second(inputs, pair, most)) for pair in pairs)
