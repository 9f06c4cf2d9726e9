"""The distinct combinations that per-layer costs depend on, and the costs of each."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats, Ints, PlanTable, StageTable
from crosszone.cost.collectives import Path
from crosszone.cost.layer import EdgeCost, LayerCost, LayerKeys, edge_cost, layer_cost
from crosszone.cost.memory import ActivationBytes, activation_bytes, logit_buffer_bytes
from crosszone.timeline.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCosts:
    """Costs of one layer of each kind and of the model's ends, one value per key."""

    keys: LayerKeys
    layers: tuple[LayerCost, ...]
    activations: tuple[ActivationBytes, ...]
    edge: EdgeCost
    logit_bytes: Floats


def key_costs(inputs: Inputs, plans: PlanTable, stages: StageTable, plan_of_stage: Ints) -> tuple[KeyCosts, Ints]:
    """Costs by key, and the key of every stage row."""
    fields = (plans.framework, plans.tp, plans.cp, plans.ep, plans.microbatch_size, plans.sequence_parallel)
    codes, first_plan = _codes(fields)
    num_pools = len(inputs.pools)
    stage_codes = codes[plan_of_stage] * num_pools + stages.pool
    used, key_of_stage = _compact(stage_codes, (int(codes.max(initial=0)) + 1) * num_pools)
    rows, pool = first_plan[used // num_pools], used % num_pools
    keys = _layer_keys(inputs, plans.take(rows), pool)
    model, workload = inputs.problem.model, inputs.problem.workload
    logit_bytes = np.array([framework.logit_bytes for framework in inputs.frameworks])[plans.framework[rows]]
    shape = {"microbatch_size": keys.microbatch_size, "tp": keys.tp, "cp": keys.cp}
    costs = KeyCosts(
        keys=keys,
        layers=tuple(layer_cost(model, kind, workload, keys) for kind in inputs.kinds),
        activations=tuple(
            activation_bytes(model, kind, workload, sequence_parallel=keys.sequence_parallel, **shape)
            for kind in inputs.kinds
        ),
        edge=edge_cost(model, workload, keys),
        logit_bytes=logit_buffer_bytes(model, workload, logit_bytes=logit_bytes, **shape),
    )
    return costs, key_of_stage


def _codes(columns: tuple[Ints | np.ndarray, ...]) -> tuple[Ints, Ints]:
    """A dense code per distinct row of `columns`, and one row that has each code."""
    mixed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values = column.astype(np.int64)
        mixed = mixed * (int(values.max(initial=0)) + 1) + values
    _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    return codes, first


def _compact(codes: Ints, num_codes: int) -> tuple[Ints, Ints]:
    """The codes that occur, and each row's index among them; cheaper than sorting where codes are dense."""
    occurs = np.zeros(num_codes, dtype=bool)
    occurs[codes] = True
    used = np.flatnonzero(occurs)
    index = np.zeros(num_codes, dtype=np.int64)
    index[used] = np.arange(len(used))
    return used, index[codes]


def _layer_keys(inputs: Inputs, plans: PlanTable, pool: Ints) -> LayerKeys:
    hardware = inputs.hardware

    def fact(name: str) -> Floats:
        return np.array([getattr(framework, name) for framework in inputs.frameworks], dtype=float)[plans.framework]

    path = Path(
        fabric_bytes_per_second=hardware.fabric_bytes_per_second[pool],
        network_bytes_per_second=hardware.network_bytes_per_second[pool],
        fabric_latency_seconds=hardware.collective_latency_seconds[pool],
        network_latency_seconds=hardware.network_latency_seconds[pool],
    )
    rates = (
        "gemm_flop_per_second wide_flop_per_second gemm_overhead_depth num_sms attention_flop_per_second "
        "attention_backward_flop_per_second unfused_attention_flop_per_second memory_bytes_per_second domain_size"
    )
    return LayerKeys(
        tp=plans.tp.astype(float),
        cp=plans.cp.astype(float),
        ep=plans.ep.astype(float),
        microbatch_size=plans.microbatch_size.astype(float),
        sequence_parallel=plans.sequence_parallel,
        elementwise_factor=fact("elementwise_factor"),
        launch_seconds=fact("launch_seconds"),
        logit_traffic_bytes=fact("logit_traffic_bytes"),
        tp_overlap_fraction=fact("tensor_parallel_overlap_fraction"),
        path=path,
        **{name: getattr(hardware, name)[pool] for name in rates.split()},
    )
