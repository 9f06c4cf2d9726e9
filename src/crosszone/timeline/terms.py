"""The step of one plan as a sum of named terms."""

import numpy as np

from crosszone.core.plan import RECOMPUTES
from crosszone.core.prediction import Input, Term
from crosszone.core.tables import Floats
from crosszone.cost.layer import LayerCost
from crosszone.cost.sync import sync_method
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
    "embedding_agreement",
)
BUBBLE = ("pipeline_bubble",)
OTHER = ("optimizer",)

_MEGATRON = "Narayanan et al. 2021 (SC21), sec. 2.2 and 3"
_FORMULAS = {
    "matrix_multiply": (
        "m * layers * sum over products of waves * tile time, forward, input and weight gradient",
        "NVIDIA, Matrix Multiplication Background User's Guide; rates: docs/decisions/0002",
    ),
    "attention": (
        "m * layers * FLOP of unmasked pairs / attention rate (unfused: and passes over the scores)",
        "Dao 2023 (FlashAttention-2), sec. 4.1; Korthikanti et al. 2022",
    ),
    "memory_bound": ("m * layers * bytes outside products / memory rate", "docs/decisions/0002"),
    "kernel_launch": (
        "m * layers * ((gpu^4 + cpu^4)^(1/4) - gpu + gaps between kernels)",
        "fitted to launch-bound runs: docs/decisions/0002",
    ),
    "recompute": ("m * layers * forward compute that is done again", "Korthikanti et al. 2022, sec. 5"),
    "embedding_head_loss": ("m * (embedding + head product + loss bytes / memory rate)", "docs/decisions/0002"),
    "tensor_parallel": (
        "m * layers * (1 - overlapped share) * 2 all-reduces each way",
        "Shoeybi et al. 2019, sec. 3; Thakur et al. 2005, sec. 4.4",
    ),
    "context_parallel": ("m * layers * max(ring - attention, 0)", "Liu, Zaharia, Abbeel 2023 (Ring Attention), sec. 3"),
    "expert_parallel": ("m * layers * (1 - overlapped share) * 2 all-to-alls each way", "Thakur et al. 2005, sec. 4.3"),
    "weight_gather": (
        "m * (max(gather - forward, 0) + max(gather + scatter - backward, 0))",
        "Zhao et al. 2023 (PyTorch FSDP), sec. 4.2",
    ),
    "pipeline_send": ("simulated pipeline less the same without delays inside zones", _MEGATRON),
    "zone_pipeline_send": (
        "simulated pipeline less the same without delays between zones",
        "CrossPipe (arXiv 2507.00217), sec. 3.4",
    ),
    "gradient_agreement": (
        "max(reduce - hidden, last bucket) + max(gather - hidden, 0)",
        "Rajbhandari et al. 2020 (ZeRO), sec. 7; Thakur et al. 2005, sec. 4.4",
    ),
    "embedding_agreement": ("latency + table gradient / tp / network, each way at once", _MEGATRON),
    "pipeline_bubble": ("simulated pipeline without delays - m * busiest stage", _MEGATRON),
    "optimizer": (
        "parameters / shards * (gradient + 2 * states + weight) bytes / memory rate",
        "Rajbhandari et al. 2020 (ZeRO), sec. 3.1",
    ),
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
    exposed["pipeline_bubble"] = max(spans.without_delay - busy, 0.0)  # below nothing by rounding alone
    exposed["pipeline_send"] = spans.without_zone_delay - spans.without_delay + float(evaluation.late_seconds[0])
    exposed["zone_pipeline_send"] = spans.total - spans.without_zone_delay
    exposed["gradient_agreement"] = float(evaluation.pool_exposed_seconds[0])
    exposed["zone_agreement"] = float(evaluation.zone_exposed_seconds[0])
    exposed["embedding_agreement"] = float(evaluation.tie_seconds[0])
    exposed["optimizer"] = float(evaluation.optimizer_seconds[0])
    raw = evaluation.pool_agreement.reduce_seconds + evaluation.pool_agreement.gather_seconds
    hidden = raw - exposed_agreement(evaluation.view, evaluation.seconds, evaluation.pool_agreement)
    overlapped["gradient_agreement"] = float(hidden.max())
    overlapped["zone_agreement"] = float(evaluation.sync.total_seconds[0]) - exposed["zone_agreement"]
    numbers, formulas = _inputs(tables, evaluation, spans, row), _FORMULAS | {"zone_agreement": _zone_formula(tables)}
    return tuple(
        Term(
            name=name,
            exposed_seconds=exposed.get(name, 0.0),
            overlapped_seconds=max(overlapped.get(name, 0.0), 0.0),
            formula=formulas[name][0],
            source=formulas[name][1],
            inputs=numbers.get(name, numbers["work"]),
        )
        for name in (*COMPUTE, *COMMUNICATION, *BUBBLE, *OTHER)
    )


def _zone_formula(tables: Tables) -> tuple[str, str]:
    """Formula and source of the exchange between zones, the way the plan agrees."""
    settings = tables.settings
    way = sync_method(settings.sync.method)
    if settings.overlap_fraction is not None:
        return "((1 - overlap_fraction) * s + codec + outer step) / every", "plan.overlap_fraction, as stated"
    return way.FORMULA, way.SOURCE


def _inputs(tables: Tables, evaluation: Evaluation, spans: Makespans, row: int) -> dict[str, tuple[Input, ...]]:
    """The numbers that went into each term; `work` for those of the busiest stage."""
    view, agreement, zone = evaluation.view, evaluation.pool_agreement, evaluation.zone_agreement
    m = float(tables.replicas.num_microbatches[spans.replica])
    numbers = {
        "work": {
            "num_microbatches": m,
            "stage": tables.stages.stage[row],
            "num_layers": tables.stages.num_layers[row],
            "forward_seconds": evaluation.seconds.forward[row],
            "backward_seconds": evaluation.seconds.backward[row],
        },
        "weight_gather": {"num_microbatches": m, "gather_and_scatter_seconds": evaluation.seconds.gather[row]},
        "pipeline_bubble": {"num_microbatches": m, "pipeline_seconds": spans.without_delay},
        "pipeline_send": {"with_seconds": spans.without_zone_delay, "without_seconds": spans.without_delay},
        "zone_pipeline_send": {"with_seconds": spans.total, "without_seconds": spans.without_zone_delay},
        "gradient_agreement": {
            "reduce_seconds": agreement.reduce_seconds.max(),
            "gather_seconds": agreement.gather_seconds.max(),
            "num_buckets": agreement.num_buckets.max(),
        },
        "zone_agreement": {
            "link_bytes": zone.link_bytes[0],
            "transfer_seconds": zone.transfer_seconds[0],
            "latency_seconds": zone.latency_seconds[0],
            "num_calls": zone.num_calls[0],
            "codec_seconds": zone.codec_seconds[0],
            "outer_seconds": zone.outer_seconds[0],
            "every": tables.settings.sync.every,
        },
        "embedding_agreement": {"seconds": evaluation.tie_seconds[0]},
        "optimizer": {"parameters": view.parameters[row], "num_shards": view.num_shards[row]},
    }
    return {
        term: tuple(Input(name=name, value=float(value)) for name, value in found.items())
        for term, found in numbers.items()
    }


def _work(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, row: int, num_microbatches: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Exposed and overlapped seconds of the busiest stage's own work over all its microbatches."""
    key, recompute = int(evaluation.view.key[row]), RECOMPUTES[int(evaluation.view.plans.recompute[row])]
    fraction = float(evaluation.view.recomputed_fraction[row])
    exposed: dict[str, float] = dict.fromkeys(COMPUTE, 0.0)
    exposed |= {"tensor_parallel": 0.0, "context_parallel": 0.0, "expert_parallel": 0.0}
    overlapped = {"tensor_parallel": 0.0}
    first, count = int(tables.stages.first_layer[row]), int(tables.stages.num_layers[row])
    for cost, before in zip(evaluation.view.costs.layers, inputs.layers_before, strict=True):
        num = float(before[first + count] - before[first]) * num_microbatches
        again = num * fraction if recompute == "full" else 0.0
        for one, times in ((cost.forward, num + again), (cost.backward, num)):
            exposed["tensor_parallel"] += times * _at(one.tp, key)
            exposed["context_parallel"] += times * _at(one.cp, key)
            exposed["expert_parallel"] += times * _at(one.ep, key)
            overlapped["tensor_parallel"] += times * _at(one.tp_overlapped, key)
        for one in (cost.forward, cost.backward):
            exposed["matrix_multiply"] += num * _at(one.gemm, key)
            exposed["attention"] += num * _at(one.attention, key)
            exposed["memory_bound"] += num * _at(one.elementwise, key)
            exposed["kernel_launch"] += num * _at(one.launch, key)
        exposed["recompute"] += again * _at(cost.forward.compute, key)
        if recompute == "selective":
            exposed["recompute"] += num * fraction * _at(_selective(inputs, tables, cost), key)
    exposed["memory_bound"] += num_microbatches * float(evaluation.seconds.accumulation[row])
    edge = evaluation.view.costs.edge
    if tables.stages.has_embedding[row]:
        exposed["embedding_head_loss"] += num_microbatches * _at(edge.embedding_forward + edge.embedding_backward, key)
    if tables.stages.has_head[row]:
        head = edge.head_forward + edge.head_backward + edge.loss
        exposed["embedding_head_loss"] += num_microbatches * _at(head, key)
    exposed["weight_gather"] = num_microbatches * float(evaluation.seconds.gather_exposed[row])
    overlapped["weight_gather"] = num_microbatches * float(evaluation.seconds.gather[row]) - exposed["weight_gather"]
    return exposed, overlapped


def _selective(inputs: Inputs, tables: Tables, cost: LayerCost) -> Floats:
    framework = inputs.frameworks[int(tables.plans.framework[0])]
    return cost.operations_again if framework.recomputes_operations else cost.attention_again


def _at(values: Floats, key: int) -> float:
    return float(np.broadcast_to(values, (key + 1,))[key]) if np.ndim(values) == 0 else float(values[key])
