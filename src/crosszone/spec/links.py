"""Links between zones: who is joined to whom, and what is known of each path where the job file does not say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from crosszone import units
from crosszone.catalog.links import (
    SAME_REGION_RTT_SECONDS,
    light_in_fibre_rtt_seconds,
    measured_rtt,
    measured_throughput,
    typical_rtt_seconds,
)
from crosszone.catalog.prices import egress
from crosszone.catalog.regions import great_circle_meters
from crosszone.core.cluster import ZoneLink
from crosszone.errors import nearest_hint
from crosszone.spec import job as spec
from crosszone.spec.reporting import Report
from crosszone.spec.shape import LOST_NAME
from crosszone.spec.sites import Site
from crosszone.spec.yaml_source import Path

Pair = tuple[str, str]
ENDS = ("between", "from", "to")
RATES = ("bandwidth", "per_node", "per_flow")
MOST_LOSS_FRACTION = 0.05
"""Up to here the square root formula of `cost.network` holds; beyond, time-outs do most of the waiting. Source: Padhye,
Firoiu, Towsley, Kurose 1998, "Modeling TCP throughput", SIGCOMM, sec. 3."""
"""A link needs one of them."""
MAX_LISTED_PAIRS = 20
SAME_PLACE_METERS = 1000.0
"""Nearer than this, distance says nothing about the round trip between two zones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What the job file says of one direction, and where."""

    path: Path
    values: Mapping[str, Any]


def read_links(cluster: spec.Cluster, sites: Sequence[Site], report: Report) -> tuple[ZoneLink, ...]:
    """Each ordered pair of zones once, as far as it could be read."""
    names = tuple(dict.fromkeys(zone.name for zone in cluster.zones))
    written = _written_pairs(cluster, names, report)
    _fill_rest(cluster, names, written, report)
    _check_missing(names, written, report)
    paths = _Paths(written=written, sites={site.name: site for site in sites}, report=report)
    pairs = [pair for pair in permutations(names, 2) if pair in written and LOST_NAME not in pair]
    _warn_of_lonely_paths({pair: written[pair] for pair in pairs}, report)
    links = [paths.link(pair) for pair in pairs]
    return tuple(link for link in links if link is not None)


def _written_pairs(cluster: spec.Cluster, names: Sequence[str], report: Report) -> dict[Pair, _Written]:
    """What links say of each direction. One direction's own link comes over the one for both, key by key."""
    both: dict[Pair, _Written] = {}
    single: dict[Pair, _Written] = {}
    for index, link in enumerate(cluster.links):
        path: Path = ("cluster", "links", index)
        pair = _ends(link, path, names, report)
        if pair is None:
            continue
        values = link.model_dump(exclude_none=True, exclude={"between", "from_zone", "to_zone"})
        directions = [pair, pair[::-1]] if link.between is not None else [pair]
        table = both if link.between is not None else single
        for direction in directions:
            if direction in table:
                message = f"the link from {direction[0]} to {direction[1]} is there twice."
                report.refuse(path, "duplicate_link", message, "Delete one of them.")
                break
            table[direction] = _Written(path=path, values=values)
    for direction, link_for_one in single.items():
        under = both[direction].values if direction in both else {}
        both[direction] = _Written(path=link_for_one.path, values={**under, **link_for_one.values})
    return both


def _ends(link: spec.Link, path: Path, names: Sequence[str], report: Report) -> Pair | None:
    """The zones that a link joins; None, with an error, where that is not clear."""
    one_way = [name for name in (link.from_zone, link.to_zone) if name is not None]
    if report.has_lost(*((*path, key) for key in ENDS)):
        return None
    if (link.between is not None and one_way) or (link.between is None and len(one_way) != 2):
        message = "a link needs either `between`, or `from` and `to`."
        report.refuse(path, "missing_key", message, 'Write "between: [ZONE, ZONE]", or "from: ZONE, to: ZONE".')
        return None
    if link.between is not None:
        ends = [((*path, "between", index), name) for index, name in enumerate(link.between)]
    else:
        ends = [((*path, key), name) for key, name in zip(("from", "to"), one_way, strict=True)]
    unknown = [(place, name) for place, name in ends if name not in names and LOST_NAME not in names]
    for place, name in unknown:
        report.refuse(place, "unknown_zone", f'there is no zone "{name}".', nearest_hint(name, names))
    first, second = ends[0][1], ends[1][1]
    if first == second and LOST_NAME not in names:
        message = f'the link joins "{first}" with itself.'
        report.refuse(path, "invalid", message, "A link joins two zones; inside a zone `network` counts.")
    return None if unknown or first == second else (first, second)


def _fill_rest(cluster: spec.Cluster, names: Sequence[str], written: dict[Pair, _Written], report: Report) -> None:
    if cluster.default_link is None or report.has_lost(("cluster", "links")):
        return
    values = cluster.default_link.model_dump(exclude_none=True)
    default = _Written(path=("cluster", "default_link"), values=values)
    for pair in permutations(names, 2):
        written.setdefault(pair, default)


def _check_missing(names: Sequence[str], written: Mapping[Pair, _Written], report: Report) -> None:
    missing = [pair for pair in permutations(names, 2) if pair not in written]
    lost_link = any(path[:2] == ("cluster", "links") and (len(path) == 3 or path[-1] in ENDS) for path in report.lost)
    if not missing or lost_link or LOST_NAME in names or report.has_lost(("cluster", "default_link")):
        return
    # Where both directions are missing, one mention is enough.
    listed = []
    for start, end in missing:
        if (end, start) not in missing:
            listed.append(f"from {start} to {end}")
        elif names.index(start) < names.index(end):
            listed.append(f"{start} - {end}")
    rest = f" and {len(listed) - MAX_LISTED_PAIRS} more" if len(listed) > MAX_LISTED_PAIRS else ""
    message = f"no link for {len(listed)} of the zone pairs: {', '.join(listed[:MAX_LISTED_PAIRS])}{rest}."
    hint = 'Write them, or "default_link: {bandwidth: ..., rtt: ...}" for all the rest.'
    report.refuse(("cluster", "links"), "missing_link", message, hint)


def _warn_of_lonely_paths(written: Mapping[Pair, _Written], report: Report) -> None:
    """A shared path that only one pair of zones names, or that has no bandwidth, changes no number."""
    for name in dict.fromkeys(link.values["shared"] for link in written.values() if "shared" in link.values):
        users = {pair: link for pair, link in written.items() if link.values.get("shared") == name}
        path = (*next(iter(users.values())).path, "shared")
        between = {frozenset(pair) for pair in users}
        if len(between) == 1:
            first, second = sorted(next(iter(between)))
            message = f'shared: only the link between {first} and {second} names the path "{name}": nothing shares it.'
            report.warn(path, message)
        elif not any("bandwidth" in link.values for link in users.values()):
            report.warn(path, f'shared: no link of the path "{name}" has a bandwidth, so that there is none to share.')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paths:
    """Fills in what is known of each path. What two directions share is told once, in the order of their names."""

    written: Mapping[Pair, _Written]
    sites: Mapping[str, Site]
    """By name of the zone."""
    report: Report

    def link(self, pair: Pair) -> ZoneLink | None:
        """The link from the first zone of `pair` to the second; None where its round trip is not known."""
        written = self.written[pair]
        values = written.values
        self._check_rates(pair, written)
        if values.get("loss") and "congestion_control" not in values:
            self.report.assume((*written.path, "congestion_control"), "cubic, Linux's default (RFC 9438, sec. 1).")
        self._doubt_loss(written)
        distance_meters = values.get("distance", self._distance_meters(pair))
        rtt_seconds = self._rtt_seconds(pair, distance_meters)
        if rtt_seconds is None:
            return None
        return ZoneLink(
            from_zone=pair[0],
            to_zone=pair[1],
            latency_seconds=rtt_seconds / 2,
            bytes_per_second=values.get("bandwidth"),
            node_bytes_per_second=values.get("per_node"),
            flow_bytes_per_second=values.get("per_flow"),
            window_bytes=values.get("window"),
            num_streams=values.get("streams"),
            jitter_seconds=values.get("jitter"),
            loss_fraction=values.get("loss"),
            congestion_control=values.get("congestion_control"),
            shared=values.get("shared"),
            egress_dollars_per_byte=self._egress_price(pair),
            distance_meters=distance_meters,
            mtbf_seconds=values.get("mtbf"),
            repair_seconds=values.get("repair"),
        )

    def _doubt_loss(self, link: _Written) -> None:
        loss = link.values.get("loss")
        if loss is not None and loss > MOST_LOSS_FRACTION and link.values.get("congestion_control") != "bbr":
            message = (
                f"{loss:.0%} of all packets lost; above {MOST_LOSS_FRACTION:.0%} time-outs rule, and flows are slower "
                "than the formula says (Padhye et al. 1998)."
            )
            self.report.warn((*link.path, "loss"), message)

    def _check_rates(self, pair: Pair, link: _Written) -> None:
        for name in RATES:
            self.report.doubt_rate((*link.path, name), link.values.get(name))
        if any(name in link.values for name in RATES) or self.report.has_lost(*((*link.path, name) for name in RATES)):
            return
        regions = self._regions(pair)
        facts = measured_throughput(*regions) if regions is not None else ()
        rate = f" {units.format_bytes_per_second(facts[0].value)} was measured ({facts[0].source})." if facts else ""
        message = f"the link from {pair[0]} to {pair[1]} has no bandwidth."
        hint = f'Write "bandwidth: 10 Gbit/s", or per_node or per_flow.{rate}'
        self.report.refuse_once(link.path, "missing_bandwidth", message, hint)

    def _distance_meters(self, pair: Pair) -> float | None:
        """Great circle between the two zones; None where coordinates are not known."""
        start, end = (self.sites[name].location for name in pair)
        return great_circle_meters(*start, *end) if start is not None and end is not None else None

    def _rtt_seconds(self, pair: Pair, distance_meters: float | None) -> float | None:
        """The round trip: as written for this direction or the other, else measured, else from the distance."""
        path = self.written[pair].path
        for link in (self.written[pair], self.written.get(pair[::-1])):
            if link is not None and "rtt" in link.values:
                rtt_seconds: float = link.values["rtt"]
                self._check_light(pair, link.path, rtt_seconds, distance_meters)
                return rtt_seconds
        if self.report.has_lost((*path, "rtt"), (*path, "distance")) or self._has_lost_place():
            return None
        found = self._known_rtt(pair, distance_meters)
        if found is None:
            message = f"the round trip between {pair[0]} and {pair[1]} is not known."
            hint = 'Write "rtt: 28.6 ms", or give both zones a region of the catalog or a location.'
            self._refuse(pair, path, "missing_rtt", message, hint)
            return None
        rtt_seconds, origin = found
        first, second = sorted(pair)
        message = f"{units.format_seconds(rtt_seconds)} between {first} and {second}, {origin}."
        self.report.assume((*path, "rtt"), message)
        return rtt_seconds

    def _has_lost_place(self) -> bool:
        return any(path[-1] in ("region", "location") for path in self.report.lost)

    def _check_light(self, pair: Pair, path: Path, rtt_seconds: float, distance_meters: float | None) -> None:
        least_seconds = light_in_fibre_rtt_seconds(distance_meters or 0.0)
        if distance_meters is None or rtt_seconds >= least_seconds:
            return
        first, second = sorted(pair)
        message = (
            f"rtt {units.format_seconds(rtt_seconds)} between {first} and {second} is below "
            f"{units.format_seconds(least_seconds)}, which light in fibre needs for "
            f"{units.format_meters(distance_meters)} and back."
        )
        hint = "Write the measured round trip; if the zones are nearer, write their location or the link's distance."
        self._refuse(pair, (*path, "rtt"), "faster_than_light", message, hint)

    def _refuse(self, pair: Pair, path: Path, code: str, message: str, hint: str) -> None:
        """An error of a pair: once for both directions, but for each pair that `default_link` stands for."""
        if "default_link" in path:
            num_told = sum(finding.code == code for _, finding in self.report.found)
            if pair == tuple(sorted(pair)) and num_told < MAX_LISTED_PAIRS:
                self.report.refuse(path, code, message, hint)
        else:
            self.report.refuse_once(path, code, message, hint)

    def _known_rtt(self, pair: Pair, distance_meters: float | None) -> tuple[float, str] | None:
        """(seconds, where from): measured between the two regions, usual in one, or typical for the distance."""
        regions = self._regions(pair)
        first, second = sorted(regions) if regions is not None else ("", "")
        fact = measured_rtt(first, second) if regions is not None else None
        if fact is not None:
            return fact.value, f"measured between {first} and {second} ({fact.source}, {fact.date})"
        if regions is not None and first == second:
            rtt_seconds = max(SAME_REGION_RTT_SECONDS, light_in_fibre_rtt_seconds(distance_meters or 0.0))
            return rtt_seconds, "usual between zones of one region"
        if distance_meters is not None and distance_meters >= SAME_PLACE_METERS:
            return typical_rtt_seconds(distance_meters), f"typical for {units.format_meters(distance_meters)}"
        return None

    def _egress_price(self, pair: Pair) -> float | None:
        """Dollars per byte: as written, else the catalog's for the two regions, else unknown."""
        link, regions = self.written[pair], self._regions(pair)
        fact = egress(*regions) if regions is not None and "egress_price" not in link.values else None
        if fact is None:
            written: float | None = link.values.get("egress_price")
            return written
        assert regions is not None
        first, second = sorted(pair)
        # Where both directions cost the same, one sentence is enough.
        route = f"between {first} and {second}" if egress(*regions[::-1]) == fact else f"from {pair[0]} to {pair[1]}"
        price = units.format_dollars_per_byte(fact.value)
        message = f"{price} {route}, list price ({fact.source}, {fact.date}). {fact.note}"
        self.report.assume((*link.path, "egress_price"), message.rstrip())
        return fact.value

    def _regions(self, pair: Pair) -> Pair | None:
        """The catalog's names of the two regions; None where the catalog lacks one."""
        first, second = (self.sites[name].region for name in pair)
        return (first.reference, second.reference) if first is not None and second is not None else None
