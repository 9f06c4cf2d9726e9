"""The distinct combinations that per-layer costs depend on, and the costs of each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from crosszone.core.tables import Bools, Floats, Ints, PlanTable
from crosszone.cost.collectives import Path
from crosszone.cost.layer import EdgeCost, LayerCost, LayerKeys, edge_cost, layer_cost
from crosszone.cost.memory import ActivationBytes, KeptElements, activation_bytes, logit_buffer_bytes
from crosszone.timeline.inputs import Inputs

NO_HARDWARE = ("num_gpus", "zone", "dollars_per_gpu_second")
"""Columns of pools that what a layer costs does not depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCosts:
    """Costs of one layer of each kind and of the model's ends, one value per key."""

    keys: LayerKeys
    layers: tuple[LayerCost, ...]
    activations: tuple[ActivationBytes, ...]
    edge: EdgeCost
    logit_bytes: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """Costs by key, and the key of any (plan, pool)."""

    costs: KeyCosts
    codes: Ints
    """Per plan."""
    position: Ints
    """Per pool of the cluster: its place among the pools that have keys."""
    num_modes: int
    num_pools: int

    def key(self, plan: Ints, pool: Ints, mode: int | Ints = 0) -> Ints:
        """Row of `costs` for each pair, with the framework in this mode."""
        return np.asarray((self.codes[plan] * self.num_modes + mode) * self.num_pools + self.position[pool])

    def take(self, rows: Ints | Bools | slice) -> "Keyed":
        """The same costs for fewer plans."""
        return replace(self, codes=self.codes[rows])


def keyed(inputs: Inputs, plans: PlanTable, pools: Iterable[int] | None = None) -> Keyed:
    """Costs of every distinct combination among `plans` on each of `pools` (None: all), in each mode of frameworks."""
    fields: tuple[Ints | Bools, ...] = (
        plans.framework,
        plans.tp,
        plans.cp,
        plans.ep,
        plans.microbatch_size,
        plans.sequence_parallel,
    )
    if any(framework.receive_stall_seconds for framework in inputs.frameworks):
        fields = (*fields, plans.pp > 1, plans.tp * plans.cp * plans.dp * plans.pp)
    found, first = codes(fields)
    kinds = pool_kinds(inputs)
    distinct = sorted(set(kinds) if pools is None else {kinds[pool] for pool in pools})
    num_modes = len(inputs.facts)
    plan, mode, place = np.indices((len(first), num_modes, len(distinct))).reshape(3, -1)
    position = np.array([distinct.index(kind) if kind in distinct else 0 for kind in kinds], dtype=np.int64)
    costs = _key_costs(inputs, plans.take(first[plan]), mode, np.array(distinct, dtype=np.int64)[place])
    return Keyed(costs=costs, codes=found, position=position, num_modes=num_modes, num_pools=len(distinct))


def pool_kinds(inputs: Inputs) -> list[int]:
    """Per pool of the cluster: the first one of the same hardware, of whatever zone, size and price."""
    columns = [getattr(inputs.hardware, each.name) for each in fields(inputs.hardware) if each.name not in NO_HARDWARE]
    seen: dict[object, int] = {}
    looks = zip(inputs.efficiencies, *(column.tolist() for column in columns), strict=True)
    # What is unknown is no number, and no two of these are equal.
    known = (tuple(None if value != value else value for value in look) for look in looks)
    return [seen.setdefault(look, index) for index, look in enumerate(known)]


def codes(columns: Sequence[Ints | Bools]) -> tuple[Ints, Ints]:
    """A dense code per distinct row of `columns`, and one row that has each code."""
    mixed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values = column.astype(np.int64)
        mixed = mixed * (int(values.max(initial=0)) + 1) + values
    _, first, codes = np.unique(mixed, return_index=True, return_inverse=True)
    return codes, first


def _key_costs(inputs: Inputs, plans: PlanTable, mode: Ints, pool: Ints) -> KeyCosts:
    """One row per plan, mode and pool."""

    def fact(name: str) -> Floats:
        values = [[getattr(framework, name) for framework in facts] for facts in inputs.facts]
        return np.array(values, dtype=float)[mode, plans.framework]

    keys = _layer_keys(inputs, plans, pool, fact)
    model, workload = inputs.problem.model, inputs.problem.workload
    kept = KeptElements(
        norm=fact("kept_norm_elements"),
        attention=fact("kept_attention_elements"),
        ffn=fact("kept_ffn_elements"),
        score=fact("score_elements"),
    )
    shape = {"microbatch_size": keys.microbatch_size, "tp": keys.tp, "cp": keys.cp}
    return KeyCosts(
        keys=keys,
        layers=tuple(layer_cost(model, kind, workload, keys) for kind in inputs.kinds),
        activations=tuple(
            activation_bytes(model, kind, workload, sequence_parallel=keys.sequence_parallel, kept=kept, **shape)
            for kind in inputs.kinds
        ),
        edge=edge_cost(model, workload, keys),
        logit_bytes=logit_buffer_bytes(
            model,
            workload,
            logit_bytes=fact("logit_bytes"),
            gathered_logit_bytes=fact("gathered_logit_bytes"),
            **shape,
        ),
    )


def _layer_keys(inputs: Inputs, plans: PlanTable, pool: Ints, fact: Callable[[str], Floats]) -> LayerKeys:
    hardware = inputs.hardware
    path = Path(
        fabric_bytes_per_second=hardware.fabric_bytes_per_second[pool],
        network_bytes_per_second=hardware.network_bytes_per_second[pool],
        fabric_latency_seconds=hardware.collective_latency_seconds[pool],
        network_latency_seconds=hardware.network_latency_seconds[pool],
    )
    rates = "gemm_overhead_depth num_sms unfused_attention_flop_per_second memory_bytes_per_second domain_size"
    products, attention = fact("gemm_factor"), _attention_factor(inputs, plans, pool)
    crosses = (plans.pp > 1) & (plans.tp * plans.cp * plans.dp * plans.pp > hardware.domain_size[pool])
    return LayerKeys(
        tp=plans.tp.astype(float),
        cp=plans.cp.astype(float),
        ep=plans.ep.astype(float),
        microbatch_size=plans.microbatch_size.astype(float),
        sequence_parallel=plans.sequence_parallel,
        elementwise_factor=fact("elementwise_factor"),
        gemm_flop_per_second=hardware.gemm_flop_per_second[pool] * products,
        wide_flop_per_second=hardware.wide_flop_per_second[pool] * products,
        attention_flop_per_second=hardware.attention_flop_per_second[pool] * attention,
        attention_backward_flop_per_second=hardware.attention_backward_flop_per_second[pool] * attention,
        norm_traffic_bytes=fact("norm_traffic_bytes"),
        launch_seconds=fact("launch_seconds") * hardware.compute_seconds_ratio[pool],
        stall_seconds=np.where(crosses & (plans.tp > 1), fact("receive_stall_seconds") * plans.tp, 0.0),
        tp_step_seconds=fact("tensor_parallel_step_seconds"),
        sends_token_once=fact("sends_token_once").astype(bool),
        expert_launch_seconds=fact("expert_launch_seconds"),
        ep_overlap_fraction=fact("expert_parallel_overlap_fraction"),
        logit_traffic_bytes=fact("logit_traffic_bytes"),
        tp_overlap_fraction=fact("tensor_parallel_overlap_fraction"),
        path=path,
        **{name: getattr(hardware, name)[pool] for name in rates.split()},
    )


def _attention_factor(inputs: Inputs, plans: PlanTable, pool: Ints) -> Floats:
    """Rate of each row's attention kernel over the best of its GPU."""
    table = [
        [share.kernel_factor(framework.attention_kernel) for share in inputs.efficiencies]
        for framework in inputs.frameworks
    ]
    return np.array(table, dtype=float)[plans.framework, pool]
