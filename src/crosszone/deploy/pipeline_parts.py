"""Layers of each part of a pipeline, as frameworks that take a list of parts are told."""

from crosszone.core.plan import RECOMPUTES, Plan
from crosszone.core.schedules.placement import position_of, rank_of

V_SCHEDULES = ("zbv",)


def recomputed_layers(plan: Plan) -> tuple[int, ...] | None:
    """Indices of the layers that the plan recomputes, the first ones of each part; None: all or none of the model."""
    if all(stage.recompute == plan.recompute and stage.recompute_layers is None for stage in plan.stages):
        return None
    found, first = list[int](), 0
    for position, count in enumerate(part_layers(plan)):
        stage = plan.stages[rank_of(position, plan.pp, _placement(plan))]
        if stage.recompute != RECOMPUTES[0]:
            again = count if stage.recompute_layers is None else min(stage.recompute_layers, count)
            found += range(first, first + again)
        first += count
    return tuple(found)


def part_layers(plan: Plan) -> tuple[int, ...]:
    """Layers of each part of the pipeline, in order of a microbatch's way; a rank's layers are dealt to its parts.

    Where they do not come out even, the first rank's first part and the other ranks' last parts have one less: they
    may hold the embedding or the LM head alone.
    """
    counts = [0] * (plan.pp * plan.num_virtual_stages)
    for rank, stage in enumerate(plan.stages):
        each, more = divmod(stage.num_layers, plan.num_virtual_stages)
        for virtual_stage in range(plan.num_virtual_stages):
            turn = plan.num_virtual_stages - 1 - virtual_stage if rank == 0 else virtual_stage
            counts[position_of(rank, virtual_stage, plan.pp, _placement(plan))] = each + (turn < more)
    return tuple(counts)


def _placement(plan: Plan) -> str:
    return "v" if plan.schedule in V_SCHEDULES else "loop"
