import pytest

from crosszone import units
from crosszone.core.preflight import Rate
from crosszone.launch.preflight.links import job_links, measured_links
from crosszone.launch.preflight.seen import ZoneRate


def measured(made, seen, zones, rates, together=None):
    asked = made.request(*zones)
    first = {node.zone: node.index for node in reversed(asked.nodes)}
    paths = {(first["a"], first["b"]): made.path(first["a"], first["b"], rates=tuple(rates))}
    extra = ()
    if together is not None:
        whole = Rate(num_streams=8, num_pairs=together[0], bytes_per_second=together[1])
        extra = (ZoneRate(from_zone="a", to_zone="b", rate=whole),)
    links = measured_links(asked, seen(asked, paths, zone_rates=extra))
    return next(each for each in links if (each.from_zone, each.to_zone) == ("a", "b"))


def test_one_flow_that_brings_all_needs_no_streams(made, seen) -> None:
    link = measured(made, seen, (1, 1), [made.rate(1, 98e6), made.rate(4, 99e6), made.rate(8, 100e6)])
    assert link.bytes_per_second == 100e6
    assert link.num_streams == 1
    assert link.flow_bytes_per_second is None
    assert link.node_bytes_per_second is None
    assert not link.is_lower_bound


def test_flows_that_are_held_back_have_a_cap_and_a_number_of_streams(made, seen) -> None:
    link = measured(made, seen, (1, 1), [made.rate(1, 25e6), made.rate(4, 97e6), made.rate(8, 100e6)])
    assert link.flow_bytes_per_second == 25e6
    assert link.num_streams == 4


def test_several_nodes_that_bring_more_make_the_pairs_rate_a_cap_of_nodes(made, seen) -> None:
    link = measured(made, seen, (2, 2), [made.rate(8, 100e6)], (2, 120e6))
    assert link.bytes_per_second == 120e6
    assert link.node_bytes_per_second == 100e6
    assert not link.is_lower_bound


def test_more_nodes_than_were_tried_may_bring_more(made, seen) -> None:
    assert measured(made, seen, (8, 8), [made.rate(8, 100e6)], (4, 390e6)).is_lower_bound
    assert not measured(made, seen, (8, 8), [made.rate(8, 100e6)], (4, 120e6)).is_lower_bound
    assert measured(made, seen, (2, 2), [made.rate(8, 100e6)]).is_lower_bound


@pytest.mark.parametrize("flag", ["is_rising", "is_at_limit"])
def test_what_may_be_more_is_a_lower_bound(made, seen, flag) -> None:
    assert measured(made, seen, (1, 1), [made.rate(8, 100e6, **{flag: True})]).is_lower_bound


def test_links_as_a_job_file_takes_them(made, seen) -> None:
    asked = made.request(1, 1)
    paths = {(0, 1): made.path(0, 1, rates=(made.rate(1, 25e6), made.rate(8, 125e6)))}
    (row,) = job_links(measured_links(asked, seen(asked, paths)))  # the other direction has no bandwidth
    assert row == {
        "from": "a",
        "to": "b",
        "bandwidth": "1 Gbit/s",
        "per_flow": "200 Mbit/s",
        "rtt": "20 ms",
        "streams": 8,
    }
    assert units.parse(row["bandwidth"], "bytes_per_second") == 125e6
