"""What the forward and the backward of one stage consist of, as shares of their time."""

import numpy as np

from crosszone.core.plan import RECOMPUTES
from crosszone.core.schedules.action import BACKWARD, FORWARD, WEIGHT_GRADIENT
from crosszone.core.tables import Floats
from crosszone.timeline.evaluate import Evaluation
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables

WEIGHT_GATHER = "weight_gather"
SMALLEST_FRACTION = 1e-9
"""A smaller share is rounding."""

Parts = tuple[tuple[str, float], ...]
"""(category, fraction of the action); the fractions add up to 1."""


def action_parts(inputs: Inputs, tables: Tables, evaluation: Evaluation, row: int) -> dict[str, Parts]:
    """Parts of each kind of action of the stage in `row`.

    They stand one after the other, though layers take turns. Where the weight gradient is an action of its own, it is
    compute alone, and the rest of the backward keeps its proportions.
    """
    there, back = _layers(inputs, tables, evaluation, row)
    key, edge = int(evaluation.view.key[row]), evaluation.view.costs.edge
    embedding, head = float(tables.stages.has_embedding[row]), float(tables.stages.has_head[row])
    there["embedding_head_loss"] = embedding * at(edge.embedding_forward, key) + head * at(edge.head_forward, key)
    back["embedding_head_loss"] = embedding * at(edge.embedding_backward, key)
    back["embedding_head_loss"] += head * at(edge.head_backward + edge.loss, key)
    back["compute"] += float(evaluation.seconds.accumulation[row])
    return {
        FORWARD: _fractions(there, float(evaluation.seconds.forward[row])),
        BACKWARD: _fractions(back, float(evaluation.seconds.backward[row])),
        WEIGHT_GRADIENT: (("compute", 1.0),),
    }


def at(values: Floats, key: int) -> float:
    """The value of a column for one key; of a number, the number."""
    return float(values) if np.ndim(values) == 0 else float(values[key])


def _layers(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, row: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of all layers of the stage, forward and backward, by what they are spent on."""
    key, plans, view = int(evaluation.view.key[row]), tables.plans, evaluation.view
    recompute = RECOMPUTES[int(view.plans.recompute[row])]
    fraction = float(view.recomputed_fraction[row])
    by_operation = bool(inputs.frameworks[int(plans.framework[0])].recomputes_operations)
    names = ("compute", "tensor_parallel", "context_parallel", "expert_parallel", "recompute")
    there, back = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for cost, count in zip(view.costs.layers, view.layers, strict=True):
        num = float(count[row])
        for seconds, one in ((there, cost.forward), (back, cost.backward)):
            seconds["compute"] += num * at(one.compute, key)
            seconds["tensor_parallel"] += num * at(one.tp, key)
            seconds["context_parallel"] += num * at(one.cp, key)
            seconds["expert_parallel"] += num * at(one.ep, key)
        selective = cost.operations_again if by_operation else cost.attention_again
        again = {"full": cost.forward.total, "selective": selective}.get(recompute)
        back["recompute"] += 0.0 if again is None else num * fraction * at(again, key)
    return there, back


def _fractions(seconds: dict[str, float], total: float) -> Parts:
    """Shares of `total`; what no part explains is waiting for weights."""
    seconds[WEIGHT_GATHER] = total - sum(seconds.values())
    parts = [(name, value / total) for name, value in seconds.items() if value > SMALLEST_FRACTION * total]
    whole = sum(fraction for _, fraction in parts)
    return tuple((name, fraction / whole) for name, fraction in parts)
