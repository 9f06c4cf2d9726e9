"""Orders of work in a pipeline, one file each, found by this folder.

A schedule module has `NAME` and
- `order(stage, num_stages, num_microbatches, num_virtual_stages)`, the actions of one rank in the order it does them;
  or, where these follow from times and delays, `orders(work)`, those of all ranks;
- `in_flight(stage, num_stages, num_microbatches, num_virtual_stages)`, the most microbatches whose activations a rank
  holds at once (numbers or arrays; a fraction where it holds single virtual stages). `orders` keeps to
  `work.most_in_flight`, which is this unless a caller says otherwise.

Where it differs from 1F1B also `PLACEMENT` (see `placement`), `VIRTUAL_STAGES` (least and most of a rank; None: any
number; absent: 1), `SPLITS_BACKWARD` (weight gradients apart), `NUM_PARTS` (of a microbatch), `NUM_COPIES` (of the
parameters) and `refusal(num_stages, num_microbatches)`, why it cannot run a shape.
"""

import functools
import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType

from crosszone.core.schedules.work import Orders, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a schedule is like, whatever its order."""

    placement: str
    splits_backward: bool
    num_parts: int
    num_copies: int
    is_generated: bool
    """Its order follows from times and delays."""
    least_virtual_stages: int
    most_virtual_stages: int | None
    """None: any number."""

    def runs_virtual_stages(self, count: int) -> bool:
        """Whether a rank may hold `count` of them."""
        most = self.most_virtual_stages
        return count >= self.least_virtual_stages and (most is None or count <= most)


@functools.cache
def schedules() -> dict[str, ModuleType]:
    """Every schedule by name."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def schedule(name: str) -> ModuleType:
    """The schedule called `name`; KeyError where there is none."""
    return schedules()[name]


@functools.cache
def traits(name: str) -> Traits:
    """Traits of the schedule called `name`; what a module does not say is as in 1F1B."""
    module = schedule(name)
    least, most = getattr(module, "VIRTUAL_STAGES", (1, 1))
    return Traits(
        placement=getattr(module, "PLACEMENT", "loop"),
        splits_backward=getattr(module, "SPLITS_BACKWARD", False),
        num_parts=getattr(module, "NUM_PARTS", 1),
        num_copies=getattr(module, "NUM_COPIES", 1),
        is_generated=hasattr(module, "orders"),
        least_virtual_stages=least,
        most_virtual_stages=most,
    )


def refusal(name: str, num_stages: int, num_microbatches: int) -> str:
    """Why the schedule cannot run this shape; empty where it can."""
    module = schedule(name)
    return module.refusal(num_stages, num_microbatches) if hasattr(module, "refusal") else ""


def rank_orders(name: str, work: Work) -> Orders:
    """The actions of each rank."""
    module = schedule(name)
    if hasattr(module, "orders"):
        return module.orders(work)  # type: ignore[no-any-return]
    shape = (work.num_stages, work.num_microbatches, work.num_virtual_stages)
    return tuple(module.order(rank, *shape) for rank in range(work.num_stages))
