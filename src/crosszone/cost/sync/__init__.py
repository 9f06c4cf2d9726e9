"""Ways for zones to agree on the weights, one file each, found by this folder.

A module has
- `NAME`, one of `core.plan.SYNC_METHODS`;
- `STREAM`, what zones exchange: gradients, or pseudogradients where each zone steps by itself in between (`IS_LOCAL`);
- `IS_FLAT`: one ring over all ranks of all zones instead of once per zone;
- `HAS_OUTER_STEP`: an outer optimizer steps after the exchange, by `OUTER_LEARNING_RATE` and `OUTER_MOMENTUM`
  (Nesterov's); without one, zones that step by themselves take the mean of their weights;
- `LAYERS_PER_FRAGMENT` of the parts that it exchanges in turn where nobody says how many; None: all at once;
- `ALLOWS`, the word of `constraints.allow` that it needs; None where the mathematics stay those of one cluster;
- `DEFAULT_DELAY_STEPS`, inner steps that an exchange may take beside compute where nobody says;
- `TRIED_EVERY`, inner steps between agreements that are tried where nobody says: what was trained with little loss;
- `cost(exchange) -> SyncCost`, exposed and total seconds, bytes and peak rate, per mean inner step;
- `held(state) -> Held`, what a rank keeps for it;
- `effect(num_zones, every)`, what is known of its effect on convergence, in words and numbers;
- `FORMULA` and `SOURCE` of the cost, `EFFECT_SOURCE` of the effect.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

SHARED = "exchange"
"""The one file of the folder that is no way to agree."""


@functools.cache
def sync_methods() -> dict[str, ModuleType]:
    """Every way by its name."""
    names = (info.name for info in pkgutil.iter_modules(__path__) if info.name != SHARED)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return {module.NAME: module for module in modules}


def is_local(name: str) -> bool:
    """Whether zones step by themselves in between; KeyError where there is no such way."""
    return bool(sync_methods()[name].IS_LOCAL)


def sync_method(name: str) -> ModuleType:
    """The way called `name`; KeyError where there is none."""
    return sync_methods()[name]
