"""Frameworks that train: one file each, found by its folder. What each can express, its rank order, its facts.

A file holds `RULES` (what it cannot do), `COMPUTES` (number formats), `RANK_ORDERS` (axes, innermost first; the first
is its default) and, where facts depend on the plan, `MODES` (a table of its sheet, and where it holds). Its numbers are
in the catalog, `data/frameworks`.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np

from crosszone.catalog.frameworks import framework
from crosszone.core.framework import Framework, Mode
from crosszone.core.plan import SYNC_METHODS, ZONE_ALGORITHMS, Plan, Sync, zone_plans
from crosszone.core.problem import PlanRequest
from crosszone.core.tables import Bools, Ints, PlanTable
from crosszone.core.train import LOCAL_FRAMEWORKS
from crosszone.errors import UnknownName
from crosszone.frameworks.rules import (
    FLAT,
    FLAT_SUMS,
    HIERARCHICAL,
    RECOMPUTED_ALIKE,
    SUMS,
    Expressed,
    own_degrees_reason,
    plan_expressed,
    table_expressed,
)

SHARED = "rules"
"""The one file of the folder that is no framework."""


@functools.cache
def framework_names() -> tuple[str, ...]:
    """All frameworks, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != SHARED))


def framework_facts(name: str) -> Framework:
    """Numbers of the framework, with sources, and of its modes.

    Errors: UnknownName with the nearest names.
    """
    modes = getattr(_module(name), "MODES", ())
    return replace(
        framework(name), modes=tuple(Mode(holds=holds, framework=framework(name, table)) for table, holds in modes)
    )


def supports(name: str, plan: Plan) -> tuple[str, ...]:
    """Reasons why the framework cannot express `plan`; empty where it can.

    Errors: UnknownName with the nearest names.
    """
    if plan.has_own_degrees:
        whole = own_degrees_reason(plan, runs_them=runs_own_degrees(name))
        parts = (why for part in zone_plans(plan) for why in supports(name, part))
        return (f"{name}: {whole}",) if whole else tuple(dict.fromkeys(parts))
    module = _module(name)
    columns = plan_expressed(plan)
    reasons = [f"{name}: {rule.reason(plan)}" for rule in module.RULES if rule.violated(columns)[0]]
    if not _in_order(columns, plan.rank_order, module.RANK_ORDERS)[0]:
        known = " or ".join("-".join(order) for order in module.RANK_ORDERS)
        reasons.append(f"{name}: ranks are ordered {known}, innermost first, not {'-'.join(plan.rank_order)}.")
    return tuple(reasons)


def expressible(
    name: str,
    table: PlanTable,
    *,
    num_layers: int | Ints,
    num_microbatches: int | Ints,
    num_like_replicas: Ints | None = None,
    fewest_replicas: Ints | None = None,
    num_zones: int | Ints = 0,
    sync: Sync | None = None,
    rank_order: tuple[str, ...] | None = None,
) -> Bools:
    """Rows of `table` that the framework can express; `supports` of each row, without a loop over rows.

    `num_layers` is the model's, `num_microbatches` that of the row's replica with fewest, `num_like_replicas` the
    greatest common divisor of the sizes of its replica groups (only rows with unequal replicas need it),
    `fewest_replicas` what the zone with fewest holds of the `num_zones` among which replicas agree (absent: all are in
    one), `sync` how all of them agree, `rank_order` the order of ranks that all shall have (absent: the framework's).

    Errors: UnknownName with the nearest names.
    """
    return expressed_by(
        name,
        table_expressed(
            table,
            num_layers=num_layers,
            num_microbatches=num_microbatches,
            num_like_replicas=num_like_replicas,
            fewest_replicas=fewest_replicas,
            num_zones=num_zones,
            sync=sync,
        ),
        rank_order,
    )


def expressed_by(name: str, columns: Expressed, rank_order: tuple[str, ...] | None = None) -> Bools:
    """Rows that the framework can express, with ranks in `rank_order` where it is given; alternatives come first.

    Errors: UnknownName with the nearest names.
    """
    module = _module(name)
    can = np.ones(len(columns), dtype=np.bool_)
    for rule in module.RULES:
        can = can & ~rule.violated(columns)
    return can if rank_order is None else can & _in_order(columns, rank_order, module.RANK_ORDERS)


def sums_once_per_zone(name: str, columns: Expressed) -> Bools:
    """Rows whose gradients the framework adds up inside each zone before they cross, were it left to it.

    This is what says which sum runs: searches, predictions and bundles all ask here.

    Errors: UnknownName with the nearest names.
    """
    asked = replace(columns, sync=np.array([SYNC_METHODS.index(HIERARCHICAL)]))
    flat = [
        np.broadcast_to(rule.violated(asked), len(columns)) for rule in _module(name).RULES if rule.code == FLAT_SUMS
    ]
    return ~flat[0] if flat else np.ones(len(columns), dtype=np.bool_)


def runs_way(name: str, columns: Expressed, sync: Sync, wanted: PlanRequest) -> Bools:
    """Rows for which `sync` is what the framework runs: where `wanted` leaves the sum open, only one of both is.

    Errors: UnknownName with the nearest names.
    """
    if not wanted.leaves_sum_open or sync.method not in SUMS:
        return np.ones(len(columns), dtype=np.bool_)
    is_once = sums_once_per_zone(name, columns)
    return is_once if sync.method == HIERARCHICAL else ~is_once


def as_summed(plan: Plan, wanted: PlanRequest) -> Plan:
    """`plan` with the sum that its framework runs, where `wanted` does not say how zones agree.

    Errors: UnknownName with the nearest names.
    """
    if not wanted.leaves_sum_open or plan.sync.method not in SUMS:
        return plan
    if sums_once_per_zone(plan.framework, plan_expressed(plan))[0]:
        return replace(plan, sync=replace(plan.sync, method=HIERARCHICAL))
    return replace(plan, sync=flat_sync(plan.sync))


def flat_sync(sync: Sync) -> Sync:
    """The same sum over all ranks at once, which is a ring."""
    return replace(sync, method=FLAT, algorithm=ZONE_ALGORITHMS[0])


def computes(name: str, precision: str) -> bool:
    """Whether the framework trains with matrix products in this number format.

    Errors: UnknownName with the nearest names.
    """
    return precision in _module(name).COMPUTES


def runs_own_degrees(name: str) -> bool:
    """Whether zones that exchange local updates alone may divide their work each in its own way."""
    return name in LOCAL_FRAMEWORKS


def recomputes_alike(frameworks: Sequence[Framework]) -> Bools:
    """Of each framework whether all stages must recompute as many layers."""
    return np.array([RECOMPUTED_ALIKE in _module(each.name).RULES for each in frameworks], dtype=np.bool_)


def rank_order(name: str) -> tuple[str, ...]:
    """Axes from the innermost (neighbouring ranks) to the outermost.

    Errors: UnknownName with the nearest names.
    """
    order: tuple[str, ...] = _module(name).RANK_ORDERS[0]
    return order


def _module(name: str) -> ModuleType:
    if name not in framework_names():
        raise UnknownName.among(name, framework_names(), kind="framework")
    return importlib.import_module(f"{__name__}.{name}")


def _in_order(columns: Expressed, wanted: tuple[str, ...], orders: tuple[tuple[str, ...], ...]) -> Bools:
    """Rows whose axes one of `orders` has as `wanted`; an axis of degree 1 may stand anywhere."""
    found = np.zeros(len(columns), dtype=np.bool_)
    for order in orders:
        turned = [(a, b) for a, b in itertools.combinations(wanted, 2) if order.index(a) > order.index(b)]
        wide = [(getattr(columns, a) > 1) & (getattr(columns, b) > 1) for a, b in turned]
        found |= ~np.any(np.array(wide, dtype=np.bool_).reshape(len(turned), len(columns)), axis=0)
    return found
