"""What the model asks of one rank in a forward and a backward."""

from collections.abc import Sequence
from dataclasses import dataclass

from crosszone.core.schedules import traits
from crosszone.core.schedules.action import BACKWARD, WEIGHT_GRADIENT, Action
from crosszone.cost.flop import head_flop, layer_flop
from crosszone.timeline.replay import Group, Replay


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFlop:
    """FLOP of the actions of a replica's ranks: products alone, no recomputation; a step's add up to `model_flop`."""

    forward: Sequence[float]
    """Of each rank."""
    apart: frozenset[tuple[int, tuple[int, ...]]]
    """Backwards by (rank, work) whose weight gradient is an action of its own."""

    def of(self, rank: int, action: Action) -> float:
        """A backward is two products for each of the forward: of its input and of its weights."""
        is_whole = action.kind == BACKWARD and (rank, action[1:]) not in self.apart
        return self.forward[rank] * (2.0 if is_whole else 1.0)


def action_flop(replay: Replay, group: Group) -> ActionFlop:
    """That of the replica of `group`."""
    events = group.played.events
    return ActionFlop(
        forward=[_forward_flop(replay, row) for row in group.rows],
        apart=frozenset((each.rank, each.action[1:]) for each in events if each.action.kind == WEIGHT_GRADIENT),
    )


def _forward_flop(replay: Replay, row: int) -> float:
    """Of one rank of the stage in `row`. The LM head is shared out over the chunks of its stage, as its time is."""
    problem, plan, shape = replay.inputs.problem, replay.plan, traits(replay.plan.schedule)
    length = problem.workload.sequence_length
    sequence = sum(
        float(count[row]) * sum(layer_flop(problem.model, kind, length))
        for kind, count in zip(replay.inputs.kinds, replay.evaluation.view.layers, strict=True)
    )
    sequence += float(replay.tables.stages.has_head[row]) * head_flop(problem.model, length)
    num_chunks = 1 if shape.placement == "both_ways" else plan.num_virtual_stages
    size = float(replay.evaluation.view.plans.microbatch_size[row])
    return sequence * size / (plan.tp * plan.cp * num_chunks * shape.num_parts)
