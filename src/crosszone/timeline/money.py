"""What a training costs on the whole, and the energy of its GPUs."""

from crosszone.core.plan import Plan
from crosszone.core.prediction import Costs, Reliability
from crosszone.core.problem import Problem
from crosszone.cost.price import rent_dollars, storage_dollars, training_joules
from crosszone.timeline.threats import working_gpus


def costs_of(
    problem: Problem,
    plan: Plan,
    *,
    train_seconds: float | None,
    step_egress_dollars: float | None,
    dataset_egress_dollars: float | None,
    reliability: Reliability,
) -> Costs:
    """Every part of the bill. GPUs of a zone that works are paid for whether the plan uses them or not."""
    working, idle = rents_per_second(problem, plan)
    wall = reliability.wall_seconds
    extra = None if wall is None or train_seconds is None else wall - train_seconds
    parts = (_times(working, train_seconds), _times(idle, train_seconds))
    overhead = None if working is None or idle is None else _times(working + idle, extra)
    storage = _storage_dollars(problem, reliability)
    needed = [*parts, overhead, step_egress_dollars, dataset_egress_dollars]
    total = sum_of(*needed)
    return Costs(
        working_gpu_dollars=parts[0],
        idle_gpu_dollars=parts[1],
        overhead_dollars=overhead,
        step_egress_dollars=step_egress_dollars,
        dataset_egress_dollars=dataset_egress_dollars,
        storage_dollars=storage,
        total_dollars=None if total is None else total + (storage or 0.0),
    )


def rents_per_second(problem: Problem, plan: Plan) -> tuple[float | None, float | None]:
    """Dollars per second of the GPUs that work, and of the others in their zones; None where a price is unknown."""
    used, working, idle = working_gpus(plan), 0.0, 0.0
    for name in plan.zones:
        for index, group in enumerate(problem.cluster.zone(name).node_groups):
            count, price = used.get((name, index), 0), group.dollars_per_gpu_second
            if price is None:
                return None, None
            working += float(rent_dollars(num_gpus=count, dollars_per_gpu_second=price, wall_seconds=1.0))
            idle += float(rent_dollars(num_gpus=group.num_gpus - count, dollars_per_gpu_second=price, wall_seconds=1.0))
    return working, idle


def energy_joules(problem: Problem, plan: Plan, seconds: float | None) -> float | None:
    """Of the GPUs that work, for `seconds`; None where the rated power of one is unknown."""
    if seconds is None:
        return None
    watts = 0.0
    for (zone, index), count in working_gpus(plan).items():
        tdp_watts = problem.cluster.zone(zone).node_groups[index].gpu.tdp_watts
        if tdp_watts is None:
            return None
        watts += tdp_watts * count
    return float(training_joules(tdp_watts=watts, wall_seconds=seconds))


def sum_of(*parts: float | None) -> float | None:
    """Of all parts; None where one of them is."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _times(rate: float | None, seconds: float | None) -> float | None:
    return None if rate is None or seconds is None else rate * seconds


def _storage_dollars(problem: Problem, reliability: Reliability) -> float | None:
    price, wall = problem.workload.checkpoint.dollars_per_byte_second, reliability.wall_seconds
    if price is None or wall is None:
        return None
    return float(
        storage_dollars(stored_bytes=reliability.storage_bytes, dollars_per_byte_second=price, wall_seconds=wall)
    )
