"""What a search computes once: hardware per pool, links between pools, the model's layers by kind."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosszone.catalog.efficiency import efficiency
from crosszone.core.cluster import Gpu, ZoneLink
from crosszone.core.efficiency import Efficiency
from crosszone.core.framework import Framework
from crosszone.core.model import LayerKind
from crosszone.core.pools import Pool, pools
from crosszone.core.problem import Problem
from crosszone.core.tables import Floats, Ints, PlanTable

ASSUMED_SMS = 132
"""Stands in, marked assumed, where the sheet prints no count: an H100's. It only decides how the last wave rounds."""
WIDE = {"fp8": "bf16", "fp4": "bf16"}
"""Precision of what an fp8 or fp4 recipe leaves wide: attention, LM head, weight storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolColumns:
    """One value per pool. Rates are achieved ones."""

    gemm_flop_per_second: Floats
    wide_flop_per_second: Floats
    gemm_overhead_depth: Floats
    num_sms: Floats
    attention_flop_per_second: Floats
    attention_backward_flop_per_second: Floats
    unfused_attention_flop_per_second: Floats
    memory_bytes_per_second: Floats
    memory_bytes: Floats
    node_memory_bytes: Floats
    """Of the host; infinite where unknown."""
    domain_size: Floats
    fabric_bytes_per_second: Floats
    network_bytes_per_second: Floats
    """Share of one GPU in its node's network."""
    host_bytes_per_second: Floats
    """PCIe, one direction, per GPU; NaN where unknown."""
    collective_latency_seconds: Floats
    network_latency_seconds: Floats
    num_gpus: Ints
    gpus_per_node: Ints
    zone: Ints
    dollars_per_gpu_second: Floats
    """NaN where unknown."""
    compute_seconds_ratio: Floats
    """Of the calibration; 1 without. The rates above are already divided by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that the cost of a plan depends on besides the plan."""

    problem: Problem
    frameworks: tuple[Framework, ...]
    facts: tuple[tuple[Framework, ...], ...]
    """[mode][framework]: their facts as `modes_of` has them; mode 0 is the usual one."""
    pools: tuple[Pool, ...]
    efficiencies: tuple[Efficiency, ...]
    """One per pool."""
    hardware: PoolColumns
    links: tuple[tuple[ZoneLink | None, ...], ...]
    """[from zone][to zone]."""
    kinds: tuple[LayerKind, ...]
    """The distinct kinds of layers."""
    layers_before: tuple[Ints, ...]
    """Per kind: how many layers of it come before layer l, for l = 0 .. num_layers."""


def inputs(
    problem: Problem, frameworks: tuple[Framework, ...], shares: Callable[[Gpu], Efficiency] = efficiency
) -> Inputs:
    """Prepare `problem` for plans of these frameworks; `shares` are the catalog's unless one tries others.

    What kernels timed on a GPU showed (`Calibration.efficiency`) stands before either.
    """
    flat = pools(problem.cluster)
    efficiencies = tuple(_measured_over(problem, pool.node_group.gpu, shares) for pool in flat)
    layer_kinds = problem.model.layer_kinds()
    kinds = tuple(dict.fromkeys(layer_kinds))
    before = tuple(np.concatenate([[0], np.cumsum([kind == other for other in layer_kinds])]) for kind in kinds)
    return Inputs(
        problem=problem,
        frameworks=frameworks,
        facts=_facts(frameworks),
        pools=flat,
        efficiencies=efficiencies,
        hardware=_pool_columns(problem, flat, efficiencies),
        links=_link_matrix(problem),
        kinds=kinds,
        layers_before=before,
    )


def modes_of(inputs: Inputs, plans: PlanTable) -> Ints:
    """In which of the modes of its framework each plan runs."""
    found = np.zeros(len(plans), dtype=np.int64)
    for index, framework in enumerate(inputs.frameworks):
        for number, mode in enumerate(framework.modes, start=1):
            found[(plans.framework == index) & mode.holds(plans)] = number
    return found


def _facts(frameworks: tuple[Framework, ...]) -> tuple[tuple[Framework, ...], ...]:
    """Of each mode; a framework that has fewer than others never runs in more."""
    each = [(framework, *(mode.framework for mode in framework.modes)) for framework in frameworks]
    most = max(map(len, each), default=1)
    return tuple(zip(*(facts + facts[:1] * (most - len(facts)) for facts in each), strict=True))


def _pool_columns(problem: Problem, flat: tuple[Pool, ...], efficiencies: tuple[Efficiency, ...]) -> PoolColumns:
    rows = [_pool_row(problem, pool, share) for pool, share in zip(flat, efficiencies, strict=True)]
    integers = {"num_gpus", "gpus_per_node", "zone"}
    zones = {zone.name: index for index, zone in enumerate(problem.cluster.zones)}
    for row, pool in zip(rows, flat, strict=True):
        row["zone"] = zones[pool.zone.name]
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows], dtype=np.int64 if name in integers else np.float64)
        for name in rows[0]
    }
    return PoolColumns(**columns)


def _pool_row(problem: Problem, pool: Pool, share: Efficiency) -> dict[str, float]:
    group = pool.node_group
    gpu, precision = group.gpu, problem.workload.dtypes.compute
    peak, wide = gpu.peak(precision), gpu.peak(WIDE.get(precision, precision))
    peak = peak if peak is not None else np.nan  # the reader of the job file has refused a precision the GPU lacks
    wide = wide if wide is not None else peak
    price = group.dollars_per_gpu_second
    ratio = _compute_seconds_ratio(problem, gpu.name)
    network = group.network_bytes_per_second / group.gpus_per_node / max(pool.zone.oversubscription, 1.0)
    return {
        "gemm_flop_per_second": peak * share.main_loop_fraction(precision) / ratio,
        "wide_flop_per_second": wide * share.gemm_fraction / ratio,
        # The tile's prologue is bound by memory, not by the narrower format's faster main loop.
        "gemm_overhead_depth": share.gemm_overhead_depth * peak / wide,
        "num_sms": gpu.num_sms or ASSUMED_SMS,
        "attention_flop_per_second": wide * share.attention_fraction / ratio,
        "attention_backward_flop_per_second": wide * share.attention_backward_fraction / ratio,
        "unfused_attention_flop_per_second": wide * share.unfused_attention_fraction / ratio,
        "memory_bytes_per_second": gpu.memory_bytes_per_second * share.memory_fraction / ratio,
        "memory_bytes": gpu.memory_bytes,
        "node_memory_bytes": np.inf if group.host_memory_bytes is None else group.host_memory_bytes,
        "domain_size": max(group.fabric.num_gpus, 1),
        "fabric_bytes_per_second": group.fabric.bytes_per_second * share.fabric_fraction,
        "network_bytes_per_second": network * share.network_fraction,
        "host_bytes_per_second": np.nan if gpu.pcie_bytes_per_second is None else gpu.pcie_bytes_per_second,
        "collective_latency_seconds": share.collective_latency_seconds,
        "network_latency_seconds": share.network_latency_seconds,
        "num_gpus": group.num_gpus,
        "gpus_per_node": group.gpus_per_node,
        "zone": 0,
        "dollars_per_gpu_second": np.nan if price is None else price,
        "compute_seconds_ratio": ratio,
    }


def _measured_over(problem: Problem, gpu: Gpu, shares: Callable[[Gpu], Efficiency]) -> Efficiency:
    own = next((each.efficiency for each in problem.calibrations if each.gpu == gpu.name), None)
    return shares(gpu) if own is None else own.replaced(shares(gpu))


def _compute_seconds_ratio(problem: Problem, gpu: str) -> float:
    return next((each.compute_seconds_ratio for each in problem.calibrations if each.gpu == gpu), 1.0)


def _link_matrix(problem: Problem) -> tuple[tuple[ZoneLink | None, ...], ...]:
    known = {(link.from_zone, link.to_zone): link for link in problem.cluster.links}
    names = [zone.name for zone in problem.cluster.zones]
    return tuple(tuple(known.get((start, end)) for end in names) for start in names)
