"""The step of one plan as a sum of named terms."""

import numpy as np

from crosszone.core.plan import RECOMPUTES
from crosszone.core.prediction import Input, Term
from crosszone.core.tables import Floats
from crosszone.timeline.chain import Makespans
from crosszone.timeline.evaluate import Evaluation, exposed_agreement
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables

COMPUTE = ("matrix_multiply", "attention", "memory_bound", "kernel_launch", "recompute", "embedding_head_loss")
COMMUNICATION = (
    "tensor_parallel",
    "context_parallel",
    "expert_parallel",
    "weight_gather",
    "pipeline_send",
    "zone_pipeline_send",
    "gradient_agreement",
    "zone_agreement",
)
BUBBLE = ("pipeline_bubble",)
OTHER = ("optimizer",)

_FORMULAS = {
    "matrix_multiply": ("m * layers * sum of gemm_seconds", "cost.gemm.gemm_seconds"),
    "attention": ("m * layers * attention", "cost.layer._attention_seconds"),
    "memory_bound": ("m * layers * bytes / memory bandwidth", "cost.layer._elementwise_seconds"),
    "kernel_launch": ("m * layers * ((gpu^4 + cpu^4)^(1/4) - gpu)", "cost.layer.LAUNCH_NORM"),
    "recompute": ("m * layers * forward that is done again", "core.plan.RECOMPUTES"),
    "embedding_head_loss": ("m * (embedding + head + loss) of the busiest stage", "cost.layer.edge_cost"),
    "tensor_parallel": ("m * layers * 2 all-reduces each way", "cost.collectives.all_reduce_seconds"),
    "context_parallel": ("m * layers * max(ring - attention, 0)", "cost.layer._context_seconds"),
    "expert_parallel": ("m * layers * 2 all-to-alls each way", "cost.collectives.all_to_all_seconds"),
    "weight_gather": ("m * max(gather + scatter - compute, 0)", "timeline.stages._gather_waits"),
    "pipeline_send": ("simulated step less the same without delays inside zones", "timeline.simulate.simulate"),
    "zone_pipeline_send": ("simulated step less the same without delays between zones", "timeline.simulate.simulate"),
    "gradient_agreement": ("max(reduce - hidden, last bucket) + max(gather - hidden, 0)", "cost.collectives"),
    "zone_agreement": ("max(2(Z-1)/Z * gradient / link + rounds * latency - hidden, last bucket)", "cost.traffic"),
    "pipeline_bubble": ("simulated pipeline without delays - m * busiest stage", "timeline.simulate.simulate"),
    "optimizer": ("parameters / shards * state bytes / memory bandwidth", "timeline.stages.optimizer_seconds"),
}


def terms(inputs: Inputs, tables: Tables, evaluation: Evaluation, spans: Makespans) -> tuple[Term, ...]:
    """Terms of the one plan in `tables`; exposed seconds add up to its step.

    Work is that of the busiest stage of the slowest chain; what the pipeline takes beyond is bubble and delay.
    """
    rows = np.flatnonzero(tables.stages.replica == spans.replica)
    stage_seconds = (evaluation.seconds.forward + evaluation.seconds.backward)[rows]
    row = int(rows[int(np.argmax(stage_seconds))])
    m = float(tables.replicas.num_microbatches[spans.replica])
    exposed, overlapped = _work(inputs, tables, evaluation, row, m)
    busy = m * float(stage_seconds.max())
    exposed["pipeline_bubble"] = spans.without_delay - busy
    exposed["pipeline_send"] = spans.without_zone_delay - spans.without_delay
    exposed["zone_pipeline_send"] = spans.total - spans.without_zone_delay
    exposed["gradient_agreement"] = float(evaluation.pool_exposed_seconds[0])
    exposed["zone_agreement"] = float(evaluation.zone_exposed_seconds[0])
    exposed["optimizer"] = float(evaluation.optimizer_seconds[0])
    raw = evaluation.pool_agreement.reduce_seconds + evaluation.pool_agreement.gather_seconds
    hidden = raw - exposed_agreement(evaluation.view, evaluation.seconds, evaluation.pool_agreement)
    overlapped["gradient_agreement"] = float(hidden.max())
    overlapped["zone_agreement"] = float(evaluation.zone_agreement.seconds[0]) - exposed["zone_agreement"]
    shared = (Input(name="num_microbatches", value=m), Input(name="stage", value=float(tables.stages.stage[row])))
    return tuple(
        Term(
            name=name,
            exposed_seconds=exposed.get(name, 0.0),
            overlapped_seconds=max(overlapped.get(name, 0.0), 0.0),
            formula=_FORMULAS[name][0],
            source=_FORMULAS[name][1],
            inputs=shared,
        )
        for name in (*COMPUTE, *COMMUNICATION, *BUBBLE, *OTHER)
    )


def _work(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, row: int, num_microbatches: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Exposed and overlapped seconds of the busiest stage's own work over all its microbatches."""
    key, recompute = int(evaluation.view.key[row]), RECOMPUTES[int(tables.plans.recompute[0])]
    exposed: dict[str, float] = dict.fromkeys(COMPUTE, 0.0)
    exposed |= {"tensor_parallel": 0.0, "context_parallel": 0.0, "expert_parallel": 0.0}
    overlapped = {"tensor_parallel": 0.0}
    first, count = int(tables.stages.first_layer[row]), int(tables.stages.num_layers[row])
    for cost, before in zip(evaluation.view.costs.layers, inputs.layers_before, strict=True):
        num = float(before[first + count] - before[first]) * num_microbatches
        again = recompute == "full"
        for one in (cost.forward, cost.backward, *((cost.forward,) if again else ())):
            exposed["tensor_parallel"] += num * _at(one.tp, key)
            exposed["context_parallel"] += num * _at(one.cp, key)
            exposed["expert_parallel"] += num * _at(one.ep, key)
            overlapped["tensor_parallel"] += num * _at(one.tp_overlapped, key)
        for one in (cost.forward, cost.backward):
            exposed["matrix_multiply"] += num * _at(one.gemm, key)
            exposed["attention"] += num * _at(one.attention, key)
            exposed["memory_bound"] += num * _at(one.elementwise, key)
            exposed["kernel_launch"] += num * _at(one.launch, key)
        exposed["recompute"] += num * (_at(cost.forward.compute, key) if again else 0.0)
        exposed["recompute"] += num * (_at(cost.attention_again, key) if recompute == "selective" else 0.0)
    edge = evaluation.view.costs.edge
    if tables.stages.has_embedding[row]:
        exposed["embedding_head_loss"] += num_microbatches * _at(edge.embedding_forward + edge.embedding_backward, key)
    if tables.stages.has_head[row]:
        head = edge.head_forward + edge.head_backward + edge.loss
        exposed["embedding_head_loss"] += num_microbatches * _at(head, key)
    exposed["weight_gather"] = num_microbatches * float(evaluation.seconds.gather_exposed[row])
    overlapped["weight_gather"] = num_microbatches * float(evaluation.seconds.gather[row]) - exposed["weight_gather"]
    return exposed, overlapped


def _at(values: Floats, key: int) -> float:
    return float(np.broadcast_to(values, (key + 1,))[key]) if np.ndim(values) == 0 else float(values[key])
