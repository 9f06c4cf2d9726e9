"""Layers of each part of a pipeline, as frameworks that take a list of parts are told."""

from crosszone.core.plan import Plan
from crosszone.core.schedules.placement import position_of

V_SCHEDULES = ("zbv",)


def part_layers(plan: Plan) -> tuple[int, ...]:
    """Layers of each part of the pipeline, in order of a microbatch's way; a rank's layers are dealt to its parts.

    Where they do not come out even, the first rank's first part and the other ranks' last parts have one less: they
    may hold the embedding or the LM head alone.
    """
    counts = [0] * (plan.pp * plan.num_virtual_stages)
    placement = "v" if plan.schedule in V_SCHEDULES else "loop"
    for rank, stage in enumerate(plan.stages):
        each, more = divmod(stage.num_layers, plan.num_virtual_stages)
        for virtual_stage in range(plan.num_virtual_stages):
            turn = plan.num_virtual_stages - 1 - virtual_stage if rank == 0 else virtual_stage
            counts[position_of(rank, virtual_stage, plan.pp, placement)] = each + (turn < more)
    return tuple(counts)
