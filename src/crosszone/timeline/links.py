"""What crosses each zone link in a step of one plan."""

import itertools
from collections import defaultdict

import numpy as np

from crosszone.core.prediction import Link, LinkGroup, Term
from crosszone.timeline.evaluate import Evaluation
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.paths import Shared, shared
from crosszone.timeline.rows import Tables
from crosszone.timeline.zone_agreement import exchange_algorithm, exchange_pairs, exchange_rates, num_flows
from crosszone.units import SECONDS_PER_HOUR

Flow = tuple[str, float, float]
"""(group, bytes, seconds that they take the link)."""
Flows = dict[tuple[int, int], list[Flow]]
"""By zones, from and to."""
EXPOSED_BY = {"pp": "zone_pipeline_send", "dp": "zone_agreement", "embedding": "embedding_agreement"}
"""The term that has what of each group is not hidden."""


def plan_links(
    inputs: Inputs, tables: Tables, evaluation: Evaluation, terms: tuple[Term, ...], step_seconds: float
) -> tuple[Link, ...]:
    """Every directed link that carries anything, in the order of the cluster's zones."""
    flows: Flows = defaultdict(list)
    _add_boundaries(inputs, tables, evaluation, flows)
    _add_agreement(inputs, tables, evaluation, flows)
    _add_tie(inputs, evaluation, flows)
    taken: dict[str, float] = defaultdict(float)
    for name, _, time in itertools.chain.from_iterable(flows.values()):
        taken[name] += time
    exposed = {term.name: term.exposed_seconds for term in terms}
    shares = {name: (exposed[EXPOSED_BY[name]], time) for name, time in taken.items() if time > 0.0}
    starts = {"dp": 1.0 / tables.settings.sync.every}
    return tuple(_link(inputs, pair, flows[pair], shares, starts, step_seconds) for pair in sorted(flows))


def full_paths(inputs: Inputs, links: tuple[Link, ...], step_seconds: float) -> tuple[str, ...]:
    """A warning for each link, uplink or shared path that all groups together ask more of than a step has time for.

    Groups share where they send at the same time for certain: what a pipeline sends while gradients are exchanged is
    timed as if each had the path to itself.
    """
    index = {zone.name: place for place, zone in enumerate(inputs.problem.cluster.zones)}
    under, moved, asked = shared(inputs), dict[Shared, float](), dict[str, float]()
    for link in links:
        seconds = sum(group.seconds for group in link.groups)
        asked[f"link from {link.from_zone} to {link.to_zone}"] = seconds / step_seconds
        for path in under[index[link.from_zone], index[link.to_zone]]:
            moved[path] = moved.get(path, 0.0) + link.step_bytes
    for path, size in moved.items():
        name = f'path "{path.name}"' if path.takes_turns else path.name
        asked[name] = size / path.bytes_per_second / step_seconds
    return tuple(
        f"The {name} is asked for {fraction:.0%} of what it carries in a step: the step will take longer."
        for name, fraction in asked.items()
        if fraction > 1.0 + 1e-9
    )


def _add_boundaries(inputs: Inputs, tables: Tables, evaluation: Evaluation, flows: Flows) -> None:
    """Hidden states one way, their gradients the other, for every microbatch of every replica."""
    stages, replicas, boundary = tables.stages, tables.replicas, evaluation.boundary
    zone = inputs.hardware.zone
    for row in np.flatnonzero(boundary.crosses):
        group = stages.replica[row]
        times = float(replicas.num_microbatches[group] * boundary.num_crossings[row])
        moved = float(boundary.message_bytes[row] * replicas.num_replicas[group]) * times
        ends = int(zone[stages.pool[row]]), int(zone[boundary.next_pool[row]])
        for pair, way in ((ends, boundary.there), (ends[::-1], boundary.back)):
            flows[pair].append(("pp", moved, float(way.transfer_seconds[row]) * times))


def _add_agreement(inputs: Inputs, tables: Tables, evaluation: Evaluation, flows: Flows) -> None:
    """The exchange between zones: the same bytes on each link that it uses, the mean of the inner steps."""
    zone, settings = inputs.hardware.zone, tables.settings
    moved = float(evaluation.sync.link_bytes[0])
    algorithm = "ring" if evaluation.zone_agreement.is_ring[0] else exchange_algorithm(settings)
    pairs = exchange_pairs(inputs, tables.layouts[0], algorithm)
    if not pairs:
        return
    rates = exchange_rates(inputs, settings, pairs, num_flows(evaluation.view, tables))[0]
    for (start, end), rate in zip(pairs, rates.tolist(), strict=True):
        flows[int(zone[start]), int(zone[end])].append(("dp", moved, moved / rate))


def _add_tie(inputs: Inputs, evaluation: Evaluation, flows: Flows) -> None:
    """The gradient of a tied table, once each way."""
    tie, zone = evaluation.tie, inputs.hardware.zone
    for group in np.flatnonzero(tie.crosses):
        ends = int(zone[tie.first_pool[group]]), int(zone[tie.last_pool[group]])
        for pair in (ends, ends[::-1]):
            flows[pair].append(("embedding", float(tie.link_bytes[group]), float(tie.link_seconds[group])))


def _link(
    inputs: Inputs,
    pair: tuple[int, int],
    flows: list[Flow],
    shares: dict[str, tuple[float, float]],
    starts: dict[str, float],
    step_seconds: float,
) -> Link:
    """`shares`: of each group that takes time, what of it is exposed, and how long it takes all links.

    Each link has its share of what is exposed, in proportion: together they have those of the terms. `starts`: how
    often in a step a group begins to send; once where it is not in it.
    """
    zones, link = inputs.problem.cluster.zones, inputs.links[pair[0]][pair[1]]
    assert link is not None
    moved = sum(size for _, size, _ in flows)
    seconds = sum(time for _, _, time in flows)
    price, merged = link.egress_dollars_per_byte, _merged(flows)
    exposed = [(*shares[name], time) for name, _, time in merged if name in shares]
    return Link(
        from_zone=zones[pair[0]].name,
        to_zone=zones[pair[1]].name,
        step_bytes=moved,
        bytes_per_second=moved / seconds if seconds > 0.0 else float("nan"),
        raw_seconds=seconds + link.latency_seconds * max(starts.get(name, 1.0) for name, _, _ in flows),
        exposed_seconds=sum(seconds * own / every for seconds, every, own in exposed),
        utilization_fraction=min(seconds / step_seconds, 1.0),
        dollars_per_hour=None if price is None else moved * price / step_seconds * SECONDS_PER_HOUR,
        groups=tuple(LinkGroup(group=name, step_bytes=size, seconds=time) for name, size, time in merged),
    )


def _merged(flows: list[Flow]) -> list[Flow]:
    names = dict.fromkeys(name for name, _, _ in flows)
    return [
        (
            name,
            sum(size for other, size, _ in flows if other == name),
            sum(time for other, _, time in flows if other == name),
        )
        for name in names
    ]
