"""What it takes to go on with another plan: saving, sending the state to zones that lack it, starting again."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from crosszone.core.answer import RankedPlan
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.replan import Move
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.paths import achieved_bytes_per_second, link_between, rates_at_once
from crosszone.timeline.saving import Saving, saving_of
from crosszone.timeline.threats import plan_footprint, working_gpus


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a failure has taken."""

    running_seconds: float
    """Work since the last checkpoint, on average half of what lies between two, at the running plan's speed."""
    running_step_seconds: float | None
    """Of the running plan; None where it has no place in the cluster any more."""

    def again_seconds(self, step_seconds: float) -> float:
        """To do it again with a plan of this step; at its own speed where the running one's is unknown."""
        ratio = 1.0 if self.running_step_seconds is None else step_seconds / self.running_step_seconds
        return self.running_seconds * ratio


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """State that one zone receives."""

    pair: tuple[int, int]
    """Pools that send and receive."""
    size_bytes: float
    num_flows: int


def move_to(problem: Problem, running: Plan, one: RankedPlan, loss: Loss | None) -> Move:
    """From `running` to `one`; `loss` where a failure tore the training off, so that no checkpoint could be written."""
    stays = one.plan == running and loss is None
    gone = problem.constraints.exclude_zones if loss is not None else ()
    sendings = () if stays else _sendings(problem, running, one.plan, gone)
    old, new = _saving(problem, running, one), _saving(problem, one.plan, one)
    prepared = _prepared(problem, one.plan)
    return Move(
        save_seconds=0.0 if stays or loss is not None else old.write_seconds,
        lost_seconds=0.0 if loss is None else loss.again_seconds(one.prediction.step_seconds),
        transfer_seconds=_longest_seconds(prepared, sendings),
        restart_seconds=0.0 if stays else new.restart_seconds,
        transfer_bytes=sum(sending.size_bytes for sending in sendings),
        egress_dollars=_egress_dollars(prepared, sendings),
    )


def _prepared(problem: Problem, plan: Plan) -> Inputs:
    return inputs(problem, (framework_facts(plan.framework),))


def _saving(problem: Problem, plan: Plan, one: RankedPlan) -> Saving:
    """What a checkpoint of `plan` takes, as far as its node groups are still in the cluster; else as of `one`."""
    groups = {(zone.name, index) for zone in problem.cluster.zones for index in range(len(zone.node_groups))}
    is_here = set(working_gpus(plan)) <= groups
    return saving_of(problem, plan_footprint(plan if is_here else one.plan, ()))


def _sendings(problem: Problem, running: Plan, plan: Plan, gone: Sequence[str]) -> tuple[_Sending, ...]:
    """What each zone must receive: the layers that it will train and does not hold.

    They come from the zone that holds some of them and has the fastest way. What lay only in zones that are `gone` is
    read from storage, which is part of the restart.
    """
    held, wanted, prepared = _layers(running), _layers(plan), _prepared(problem, plan)
    here = {zone.name for zone in problem.cluster.zones} - set(gone)
    sizes = state_bytes(problem.workload, weights_are_master=False)
    layer_bytes = num_parameters(problem.model) * (sizes.weight + sizes.optimizer) / problem.model.num_layers
    pool = {pool.zone.name: pool.index for pool in reversed(prepared.pools)}
    found = []
    for zone, layers in wanted.items():
        missing = layers - held.get(zone, frozenset())
        sources = [other for other in held if other in here - {zone} and held[other] & missing]
        if not missing or not sources:
            continue
        flows = sum(count for (where, _), count in working_gpus(plan).items() if where == zone)
        pairs = [(pool[other], pool[zone]) for other in sources]
        rates = [float(achieved_bytes_per_second(prepared, pair, flows)) for pair in pairs]
        found.append(
            _Sending(
                pair=pairs[int(np.argmax(rates))],
                size_bytes=len(missing) * layer_bytes,
                num_flows=flows,
            )
        )
    return tuple(found)


def _longest_seconds(prepared: Inputs, sendings: Sequence[_Sending]) -> float:
    """All zones receive at once, over what their ways share."""
    if not sendings:
        return 0.0
    flows = min(sending.num_flows for sending in sendings)
    rates = rates_at_once(prepared, [sending.pair for sending in sendings], flows)
    return float(np.max(np.array([sending.size_bytes for sending in sendings]) / rates))


def _egress_dollars(prepared: Inputs, sendings: Sequence[_Sending]) -> float | None:
    prices = [link_between(prepared, sending.pair).egress_dollars_per_byte for sending in sendings]
    if None in prices:
        return None
    return sum(sending.size_bytes * (price or 0.0) for sending, price in zip(sendings, prices, strict=True))


def _layers(plan: Plan) -> dict[str, frozenset[int]]:
    """Layers that each zone holds."""
    found: dict[str, set[int]] = {}
    for replica in plan.replicas:
        for zone, stage in zip(replica.zones, plan.stages, strict=True):
            found.setdefault(zone, set()).update(range(stage.first_layer, stage.first_layer + stage.num_layers))
    return {zone: frozenset(layers) for zone, layers in found.items()}
