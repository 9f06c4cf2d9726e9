"""The gradient of a token table that first and last stage both hold: they add their parts once a step."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Bools, Floats, Ints
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import token_table_parameters
from crosszone.timeline.boundaries import both_ways
from crosszone.timeline.rows import Tables
from crosszone.timeline.stages import StageView


@dataclass(frozen=True, slots=True, kw_only=True)
class TieColumns:
    """One value per replica group; zero without a pipeline or without a tied table."""

    link_bytes: Floats
    """All replicas of the group together, each way between the zones of first and last stage; 0 inside a zone."""
    link_seconds: Floats
    """Time that the link is taken."""
    seconds: Floats
    """Until both stages have the sum."""
    first_pool: Ints
    last_pool: Ints
    crosses: Bools


def tie_columns(view: StageView, tables: Tables) -> TieColumns:
    """An all-reduce of two ranks in each replica: the table's gradient over tp goes each way once.

    Source: Narayanan et al. 2021, sec. 3.2; Megatron-LM's embedding group (one per replica, after its gradients are
    reduced).
    """
    inputs, replicas, stages = view.inputs, tables.replicas, tables.stages
    model, hardware = inputs.problem.model, inputs.hardware
    starts = tables.first_stages()
    ends = np.append(starts[1:], len(stages)) - 1
    plans = tables.replica_plans()
    first, last = stages.pool[starts], stages.pool[ends]
    applies = (plans.pp > 1) & model.tied_embeddings
    size = token_table_parameters(model) * state_bytes(inputs.problem.workload, weights_are_master=False).reduction
    network = np.minimum(hardware.network_bytes_per_second[first], hardware.network_bytes_per_second[last])
    is_near = (first == last) & (plans.tp * plans.cp * replicas.num_replicas * plans.pp <= hardware.domain_size[first])
    rate = np.where(is_near, hardware.fabric_bytes_per_second[first], network)
    seconds = hardware.network_latency_seconds[first] + size / (plans.tp * rate)
    crosses = applies & (hardware.zone[first] != hardware.zone[last])
    moved, taken = np.zeros(len(replicas)), np.zeros(len(replicas))
    if crosses.any():
        flows, group = replicas.num_replicas * plans.tp, np.arange(len(replicas))
        there, back = both_ways(inputs, first, last, flows, crosses, plan=replicas.plan, group=group)
        moved = np.where(crosses, size * replicas.num_replicas, 0.0)
        taken = np.where(crosses, moved / np.minimum(there.bytes_per_second, back.bytes_per_second), 0.0)
        seconds = np.where(crosses, taken + there.latency_seconds + back.latency_seconds, seconds)
    return TieColumns(
        link_bytes=moved,
        link_seconds=taken,
        seconds=np.where(applies, seconds, 0.0),
        first_pool=first,
        last_pool=last,
        crosses=crosses,
    )
