"""What zones read of a dataset that another zone holds: bytes over each link, what they cost, whether they keep up."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.plan import Plan
from crosszone.core.prediction import Link
from crosszone.core.problem import Problem
from crosszone.cost.network import link_bytes_per_second
from crosszone.cost.price import data_wait_ratio, dataset_read_bytes

NARROW_VOCABULARY = 65_500
"""Below it a token is stored in two bytes, else in four (Megatron-LM, megatron/core/datasets/indexed_dataset.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the training reads over links between zones."""

    wait_ratio: float = 0.0
    """Seconds of waiting per second of step."""
    egress_dollars: float | None = 0.0
    """Over the whole training; None where a price or the number of tokens is unknown."""
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def reading(problem: Problem, plan: Plan, links: tuple[Link, ...], step_seconds: float) -> Reading:
    """What the plan's zones read of `workload.dataset`, streamed behind the steps over what the links have to spare.

    A zone reads the tokens of replicas whose first or last stage it holds: those need inputs or labels.
    """
    dataset = problem.workload.dataset
    if dataset is None or dataset.zone is None:
        return Reading()
    shares = {zone: share for zone, share in _shares(plan).items() if zone != dataset.zone}
    if not shares:
        return Reading()
    token_bytes, assumed = _token_bytes(problem)
    dollars: float | None = 0.0
    wait, slowest = 0.0, ""
    busy = {(link.from_zone, link.to_zone): link.utilization_fraction for link in links}
    for zone, share in shares.items():
        ratio = float(
            data_wait_ratio(
                step_bytes=share * problem.workload.global_batch_tokens * token_bytes,
                bytes_per_second=reading_bytes_per_second(problem, dataset.zone, zone),
                busy_fraction=busy.get((dataset.zone, zone), 0.0),
                step_seconds=step_seconds,
            )
        )
        if ratio > wait:
            wait, slowest = ratio, zone
        cost = _egress_dollars(problem, zone, share, token_bytes)
        dollars = None if dollars is None or cost is None else dollars + cost
    return Reading(wait_ratio=wait, egress_dollars=dollars, assumed=assumed, warnings=_warnings(dataset.zone, slowest))


def reading_bytes_per_second(problem: Problem, start: str, end: str) -> float:
    """What one zone reads of what another holds: every node of the smaller zone reads over one flow."""
    zones = problem.cluster.zone(start), problem.cluster.zone(end)
    num_nodes = min(sum(group.num_nodes for group in zone.node_groups) for zone in zones)
    rate = float(link_bytes_per_second(problem.cluster.link(start, end), num_nodes=num_nodes, num_flows=num_nodes))
    networks = [sum(group.num_nodes * group.network_bytes_per_second for group in zone.node_groups) for zone in zones]
    return min([rate, *networks, *(zone.uplink_bytes_per_second or np.inf for zone in zones)])


def _warnings(holder: str, slowest: str) -> tuple[str, ...]:
    if not slowest:
        return ()
    return (
        f"workload.dataset: {slowest} reads data from {holder} more slowly than it consumes it, and the training "
        "waits. Copy the dataset to it before, and delete `zone`.",
    )


def _shares(plan: Plan) -> dict[str, float]:
    """Per zone: share of the tokens that it reads."""
    shares: dict[str, float] = {}
    for replica in plan.replicas:
        for zone in {replica.zones[0], replica.zones[-1]}:
            shares[zone] = shares.get(zone, 0.0) + plan.sequences_of(replica) / plan.num_sequences
    return dict(sorted(shares.items()))


def _token_bytes(problem: Problem) -> tuple[float, tuple[str, ...]]:
    dataset = problem.workload.dataset
    assert dataset is not None
    num_tokens = dataset.num_tokens or problem.workload.train_tokens
    if dataset.size_bytes is not None and num_tokens is not None:
        one_pass = () if dataset.num_tokens else ("workload.dataset.tokens: the training reads the dataset once.",)
        return dataset.size_bytes / num_tokens, one_pass
    size = 2.0 if problem.model.vocab_size < NARROW_VOCABULARY else 4.0
    return size, (f"workload.dataset.size: {size:.0f} bytes a token, as Megatron-LM stores this vocabulary.",)


def _egress_dollars(problem: Problem, zone: str, share: float, token_bytes: float) -> float | None:
    dataset, train_tokens = problem.workload.dataset, problem.workload.train_tokens
    assert dataset is not None
    assert dataset.zone is not None
    price = problem.cluster.link(dataset.zone, zone).egress_dollars_per_byte
    if price is None or train_tokens is None:
        return None
    whole = dataset.size_bytes or (dataset.num_tokens or np.inf) * token_bytes
    read = dataset_read_bytes(token_bytes=token_bytes, num_tokens=share * train_tokens, dataset_bytes=whole)
    return price * float(read)
