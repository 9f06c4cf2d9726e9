"""Whether it is right to leave one zone, and what that rests on."""

import math

from crosszone import units
from crosszone.core.prediction import Prediction
from crosszone.cost.network import flow_bytes_per_second
from crosszone.planner.explain import TIE_RATIO
from crosszone.planner.limits import TIMED
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, first_few, passed, warned
from crosszone.timeline.money import rents_per_second, sum_of

NOTABLE_PENALTY_RATIO = 1.1
"""A step that zone links make longer by more is worth a comparison with one zone."""
NOTABLE_EGRESS_FRACTION = 0.1
"""Share of the GPUs' price from which egress is worth a word."""
LEAST_RATE_FRACTION = 0.9
"""Of a link's bandwidth that the job's flows should fill."""


def _same_zone_first(case: Case) -> Judgement | None:
    plan, cluster = case.plan, case.problem.cluster
    if len(cluster.zones) == 1:
        return None
    if len(plan.zones) == 1:
        return passed(f"the plan stays in {plan.zones[0]}, one of {len(cluster.zones)} zones.")
    if case.baseline is None:
        return _against_ideal(case, units.format_seconds(case.prediction.step_seconds))
    ours, theirs, unit = _times(case.prediction, case.baseline.prediction)
    gain, zone = theirs / ours, case.baseline.plan.zones[0]
    text = (
        f"{len(plan.zones)} zones take {units.format_seconds(ours)} {unit}, {zone} alone "
        f"{units.format_seconds(theirs)}: {gain:.2f} times as fast."
    )
    others = ", ".join(other.name for other in cluster.zones if other.name != zone)
    setting = f"constraints.exclude_zones=[{others}]"
    if case.problem.objective.minimize not in TIMED:  # the search weighed it
        return passed(text)
    if gain < 1.0:
        return failed(text, f"Stay in {zone}.", setting)
    if gain < TIE_RATIO:
        return warned(text, f"A gain within the model's error; {zone} alone does as well.", setting)
    return passed(text)


def _times(ours: Prediction, theirs: Prediction) -> tuple[float, float, str]:
    """Until half of all such trainings are done, where that is known of both; else of a step."""
    done = ours.finish.p50_seconds, theirs.finish.p50_seconds
    if done[0] is not None and done[1] is not None:
        return done[0], done[1], "until done (P50)"
    return ours.step_seconds, theirs.step_seconds, "a step"


def _against_ideal(case: Case, seconds: str) -> Judgement:
    ratio = case.prediction.cross_zone_penalty_ratio
    text = f"{len(case.plan.zones)} zones take {seconds} a step, {ratio:.2f} times that of one ideal zone."
    if ratio < NOTABLE_PENALTY_RATIO:
        return passed(text)
    return warned(text, "`crosszone plan` puts the best plan of one zone beside it.", *case.freeing)


def _links_measured(case: Case) -> Judgement | None:
    if len(case.plan.zones) == 1:
        return None
    places = sorted(
        notice.where
        for notice in case.problem.assumed
        if notice.where.startswith(("cluster.links[", "cluster.default_link")) and not notice.where.endswith("_price")
    )
    num_links = sum(link.step_bytes > 0.0 for link in case.prediction.links)
    if not places:
        return passed(f"rate and round trip of all {num_links} directions of links in use are written in the job.")
    text = f"{len(places)} facts of links are assumed: {first_few(places)}."
    return warned(text, "Measure them between two nodes (ping for rtt, iperf3 for bandwidth) and write them down.")


def _link_rate(case: Case) -> Judgement | None:
    paths = {(path.from_zone, path.to_zone): path for path in case.problem.cluster.links}
    used = [(link, paths[link.from_zone, link.to_zone]) for link in case.prediction.links if link.step_bytes > 0.0]
    shares = [(link.bytes_per_second / (path.bytes_per_second or math.inf), link, path) for link, path in used]
    known = [one for one in shares if one[2].bytes_per_second is not None]
    if not known:
        return None
    share, link, path = min(known, key=lambda one: one[0])
    rates = [units.format_bytes_per_second(rate) for rate in (link.bytes_per_second, path.bytes_per_second)]
    text = f"{link.from_zone} to {link.to_zone} carries {rates[0]} of {rates[1]}"
    if share >= LEAST_RATE_FRACTION:
        return passed(f"{text}, the least of {len(known)} directions in use.")
    flow = flow_bytes_per_second(path)
    if math.isinf(flow):
        return warned(f"{text}: the nodes send no more.", "Let more nodes send, or give them a faster network.")
    streams = math.ceil((path.num_streams or 1) / share)
    text += f": a flow takes {units.format_bytes_per_second(flow)}, by its window, round trip or loss."
    setting = f"links[{link.from_zone},{link.to_zone}].streams={streams}"
    return warned(text, f"Spread each flow over {streams} connections, or widen the window.", setting)


def _egress_share(case: Case) -> Judgement | None:
    rent = sum_of(*rents_per_second(case.problem, case.plan))
    links = [link for link in case.prediction.links if link.step_bytes > 0.0]
    if not links or rent is None:
        return None
    unpriced = [f"{link.from_zone} to {link.to_zone}" for link in links if link.dollars_per_hour is None]
    if unpriced:
        moved = units.format_bytes(sum(link.step_bytes for link in links))
        text = f"{moved} cross zones in a step, and the price of egress is unknown from {', '.join(unpriced)}."
        return warned(text, "Write egress_price in those links.")
    egress = sum(link.dollars_per_hour or 0.0 for link in links)
    if rent == 0.0:
        return None
    rent *= units.SECONDS_PER_HOUR
    text = f"egress costs {units.format_dollars(egress)} an hour, GPUs {units.format_dollars(rent)}."
    if egress < NOTABLE_EGRESS_FRACTION * rent:
        return passed(text)
    fix = "Agree less often or in fewer bytes (constraints.allow), or stay in one zone."
    allow = dict.fromkeys((*case.problem.constraints.allow, "compression", "local_sgd"))
    setting = f"constraints.allow=[{', '.join(allow)}]"
    return (failed if egress > rent else warned)(text, fix, setting, *case.freeing)


RULES = (
    Rule(
        name="same_zone_first",
        about="spanning zones beats the best plan of one zone by more than the model's error",
        source="the predictions of both plans; margin: docs/decisions/0002",
        judge=_same_zone_first,
    ),
    Rule(
        name="links_measured",
        about="rate and round trip of every link in use are written, not assumed",
        source="Mathis et al. 1997: window, round trip and loss bound a TCP flow, and none follows from distance",
        judge=_links_measured,
    ),
    Rule(
        name="link_rate",
        about="the job's flows fill the links in use",
        source="RFC 7323, sec. 1.1 (window over round trip); Mathis et al. 1997 (loss); iperf3 -P shows it",
        judge=_link_rate,
    ),
    Rule(
        name="egress_share",
        about="egress costs little beside the GPUs",
        source="prices of the job file or the catalog, bytes of the prediction",
        judge=_egress_share,
    ),
)
