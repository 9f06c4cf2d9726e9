"""Whether one plan fits, and the memory of each of its stages."""

import numpy as np

from crosszone import units
from crosszone.core.plan import Plan
from crosszone.core.prediction import Memory, StageMemory
from crosszone.core.tables import Floats
from crosszone.cost.memory import verdict
from crosszone.timeline.evaluate import memory
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.stage_memory import StageBytes
from crosszone.timeline.tabulate import tabulate

BYTES = (
    *("weight", "gradient", "optimizer", "activation", "buffer", "overhead", "total"),
    *("allocated", "reserved", "device"),
)
"""What `StageBytes` and `StageMemory` both hold."""


def plan_memory(inputs: Inputs, plan: Plan) -> Memory:
    """The memory of `plan`, whose framework is among those of `inputs`: `predict_plan`'s, without its time."""
    return memory_of(inputs, *_sized(inputs, plan))


def memory_of(inputs: Inputs, tables: Tables, size: StageBytes) -> Memory:
    """The memory of the one plan in `tables`, which hold a row per stage.

    Replicas that differ in their microbatches alone are one row: the fullest of them.
    """
    stages, total = tables.stages, size.total
    capacity = inputs.hardware.memory_bytes[stages.pool]
    worst = int(np.argmax(total / capacity))
    places: dict[tuple[int, int], int] = {}
    for row in np.argsort(total, kind="stable").tolist():
        places[int(stages.stage[row]), int(stages.pool[row])] = row
    has_room = host_shortage(inputs, tables, size) is None
    return Memory(
        peak_bytes=float(total[worst]),
        capacity_bytes=float(capacity[worst]),
        fits=bool(np.all(total <= capacity)) and has_room,
        verdict=verdict(float(total[worst]), float(capacity[worst])) if has_room else "does not fit",
        stages=tuple(_stage(inputs, tables, size, row) for row in sorted(places.values())),
    )


def plan_host_shortage(inputs: Inputs, plan: Plan) -> str | None:
    """`host_shortage` of `plan`, whose framework is among those of `inputs`."""
    return host_shortage(inputs, *_sized(inputs, plan))


def host_shortage(inputs: Inputs, tables: Tables, size: StageBytes) -> str | None:
    """Which node lacks most memory for what its ranks offload, in words with both numbers; None where none does.

    A node whose memory is not known lacks none.
    """
    pool = tables.stages.pool
    need, have = host_bytes(inputs, tables, size), inputs.hardware.node_memory_bytes[pool]
    worst = int(np.argmax(need - have))
    if need[worst] <= have[worst]:
        return None
    needs, has = units.format_bytes(float(need[worst])), units.format_bytes(float(have[worst]))
    zone = inputs.pools[int(pool[worst])].zone.name
    return f"offloaded states need {needs} of a node's own memory, and a node in {zone} has {has}"


def host_bytes(inputs: Inputs, tables: Tables, size: StageBytes) -> Floats:
    """Per stage row: what the ranks of one node offload."""
    return size.host * inputs.hardware.gpus_per_node[tables.stages.pool]


def _sized(inputs: Inputs, plan: Plan) -> tuple[Tables, StageBytes]:
    tables = tabulate(inputs, plan)
    return tables, memory(inputs, tables, keyed(inputs, tables.keyed_plans))


def _stage(inputs: Inputs, tables: Tables, size: StageBytes, row: int) -> StageMemory:
    pool = inputs.pools[int(tables.stages.pool[row])]
    return StageMemory(
        stage=int(tables.stages.stage[row]),
        zone=pool.zone.name,
        gpu=pool.node_group.gpu.name,
        num_layers=int(tables.stages.num_layers[row]),
        capacity_bytes=float(inputs.hardware.memory_bytes[pool.index]),
        **{f"{name}_bytes": float(getattr(size, name)[row]) for name in BYTES},
    )
