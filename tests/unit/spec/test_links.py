"""Links between zones: who is joined to whom, and what fills in what nobody wrote."""

from __future__ import annotations

import pytest

from crosszone.catalog.links import (
    SAME_REGION_RTT_SECONDS,
    light_in_fibre_rtt_seconds,
    measured_rtt,
    typical_rtt_seconds,
)
from crosszone.spec import read_job

GOOD = {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}


@pytest.fixture
def zones(small):
    """Makes a job on zones with these names and regions."""

    def make(regions: dict[str, str | None], **cluster):
        nodes = [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]
        written = [
            {"name": name, "nodes": nodes} | ({} if region is None else {"region": region})
            for name, region in regions.items()
        ]
        return small({"cluster": {"zones": written, **cluster}})

    return make


def test_between_sets_both_directions_and_from_to_comes_over_it(two_zones):
    job = two_zones(GOOD | {"per_flow": "100 Mbit/s"})
    job["cluster"]["links"].insert(0, {"from": "sh", "to": "bj", "bandwidth": "5 Gbit/s", "egress_price": "0.1 USD/GB"})
    cluster = read_job(job).cluster
    there, back = cluster.link("bj", "sh"), cluster.link("sh", "bj")
    assert (there.bytes_per_second, back.bytes_per_second) == (125e6, 625e6)
    assert (there.flow_bytes_per_second, back.flow_bytes_per_second) == (12.5e6, 12.5e6)
    assert (there.egress_dollars_per_byte, back.egress_dollars_per_byte) == (None, pytest.approx(1e-10))
    assert there.latency_seconds == back.latency_seconds == 0.015


def test_every_cap_reaches_the_link(two_zones):
    caps = {
        "per_node": "10 Gbit/s",
        "per_flow": "1 Gbit/s",
        "window": "16 MiB",
        "streams": 4,
        "jitter": "1 ms",
        "loss": "0.01%",
        "congestion_control": "cubic",
        "shared": "backbone",
        "distance": "1500 km",
    }
    link = read_job(two_zones(GOOD | caps)).cluster.link("bj", "sh")
    assert link.node_bytes_per_second == 1.25e9
    assert link.window_bytes == 16 * 2**20
    assert (link.num_streams, link.jitter_seconds, link.loss_fraction) == (4, 0.001, 1e-4)
    assert (link.congestion_control, link.shared, link.distance_meters) == ("cubic", "backbone", 1.5e6)


def test_a_round_trip_holds_for_both_directions(two_zones):
    job = two_zones()
    job["cluster"]["links"] = [
        {"from": "bj", "to": "sh", **GOOD},
        {"from": "sh", "to": "bj", "bandwidth": "2 Gbit/s"},
    ]
    assert read_job(job).cluster.link("sh", "bj").latency_seconds == 0.015


def test_default_link_fills_the_rest(zones):
    links = [{"between": ["a", "b"], "bandwidth": "9 Gbit/s", "rtt": "1 ms"}]
    cluster = read_job(zones(dict.fromkeys("abc"), links=links, default_link=GOOD)).cluster
    assert len(cluster.links) == 6
    assert cluster.link("b", "a").bytes_per_second == 9e9 / 8
    assert cluster.link("c", "a").bytes_per_second == 1e9 / 8


def test_all_missing_pairs_at_once(zones, only):
    finding = only(zones(dict.fromkeys("abcd"), links=[{"from": "a", "to": "b", **GOOD}]))
    assert (finding.where, finding.code) == ("cluster.links", "missing_link")
    assert "a - c, a - d, from b to a, b - c, b - d, c - d" in finding.message
    assert "default_link" in finding.hint


def test_one_zone_needs_no_link(zones):
    assert read_job(zones({"a": None})).cluster.links == ()


@pytest.mark.parametrize(
    ("link", "where", "code"),
    [
        ({**GOOD}, "cluster.links[0]", "missing_key"),
        ({"from": "bj", **GOOD}, "cluster.links[0]", "missing_key"),
        ({"between": ["bj", "sh"], "from": "bj", "to": "sh", **GOOD}, "cluster.links[0]", "missing_key"),
        ({"between": ["bj", "sz"], **GOOD}, "cluster.links[0].between[1]", "unknown_zone"),
        ({"from": "shh", "to": "bj", **GOOD}, "cluster.links[0].from", "unknown_zone"),
        ({"between": ["bj", "bj"], **GOOD}, "cluster.links[0]", "invalid"),
        ({"between": ["bj", "sh"], "rtt": "30 ms"}, "cluster.links[0]", "missing_bandwidth"),
    ],
)
def test_links_that_join_nothing(two_zones, only, link, where, code):
    job = two_zones(default_link=GOOD)
    job["cluster"]["links"] = [link]
    finding = only(job)
    assert (finding.where, finding.code) == (where, code)


def test_the_same_link_twice(two_zones, only):
    job = two_zones(GOOD)
    job["cluster"]["links"].append({"between": ["sh", "bj"], **GOOD})
    assert (only(job).where, only(job).code) == ("cluster.links[1]", "duplicate_link")


class TestRoundTrip:
    def test_below_light_in_fibre(self, two_zones, only):
        finding = only(two_zones({"bandwidth": "1 Gbit/s", "rtt": "10 ms"}))
        assert (finding.where, finding.code) == ("cluster.links[0].rtt", "faster_than_light")
        assert "10 ms" in finding.message
        assert "10.4 ms" in finding.message
        assert "1070 km" in finding.message

    def test_at_light_in_fibre(self, two_zones, findings):
        assert findings(two_zones({"bandwidth": "1 Gbit/s", "rtt": "10.5 ms"})) == ()

    def test_written_distance_is_what_is_checked(self, zones, only, findings):
        link = {"between": ["a", "b"], "bandwidth": "1 Gbit/s", "rtt": "9 ms"}
        assert findings(zones(dict.fromkeys("ab"), links=[link | {"distance": "900 km"}])) == ()
        assert "9.79 ms" in only(zones(dict.fromkeys("ab"), links=[link | {"distance": "1000 km"}])).message

    def test_default_link_is_checked_for_each_pair(self, zones, findings):
        regions = {"bj": "alibaba:cn-beijing", "sh": "alibaba:cn-shanghai", "sz": "alibaba:cn-shenzhen"}
        found = findings(zones(regions, default_link={"bandwidth": "1 Gbit/s", "rtt": "11.5 ms"}))
        assert [finding.where for finding in found] == ["cluster.default_link.rtt"] * 2
        assert "between bj and sz" in found[0].message
        assert "between sh and sz" in found[1].message

    def test_location_comes_before_the_region(self, two_zones, findings):
        job = two_zones({"bandwidth": "1 Gbit/s", "rtt": "2 ms"})
        job["cluster"]["zones"][1]["location"] = [39.0, 117.0]
        assert findings(job) == ()

    def test_distance_fills_it_and_says_so(self, two_zones):
        problem = read_job(two_zones({"bandwidth": "1 Gbit/s"}))
        link = problem.cluster.links[0]
        assert 2 * link.latency_seconds == pytest.approx(typical_rtt_seconds(link.distance_meters))
        assert 2 * link.latency_seconds > light_in_fibre_rtt_seconds(link.distance_meters)
        (notice,) = [notice for notice in problem.assumed if notice.where == "cluster.links[0].rtt"]
        assert "between bj and sh" in notice.message

    def test_measurement_comes_before_distance(self, zones):
        regions = {"a": "gcp:us-central1", "b": "gcp:us-west1"}
        problem = read_job(zones(regions, default_link={"bandwidth": "1 Gbit/s"}))
        fact = measured_rtt(*regions.values())
        assert 2 * problem.cluster.links[0].latency_seconds == pytest.approx(fact.value)
        assert any(fact.source in notice.message for notice in problem.assumed)

    def test_zones_of_one_region_are_near(self, zones):
        job = zones(dict.fromkeys("ab", "alibaba:cn-beijing"), default_link={"bandwidth": "1 Gbit/s"})
        problem = read_job(job)
        assert 2 * problem.cluster.links[0].latency_seconds == SAME_REGION_RTT_SECONDS
        (notice,) = [notice for notice in problem.assumed if notice.where == "cluster.default_link.rtt"]
        assert notice.message == "2 ms between a and b, usual between zones of one region."

    def test_zones_of_one_region_are_no_nearer_than_light(self, zones):
        link = {"bandwidth": "1 Gbit/s", "distance": "500 km"}
        problem = read_job(zones(dict.fromkeys("ab", "alibaba:cn-beijing"), default_link=link))
        assert 2 * problem.cluster.links[0].latency_seconds == light_in_fibre_rtt_seconds(500e3)

    def test_nothing_known_is_asked_for(self, zones, only):
        link = {"between": ["a", "b"], "bandwidth": "1 Gbit/s"}
        finding = only(zones({"a": None, "b": "gcp:us-west1"}, links=[link]))
        assert (finding.where, finding.code) == ("cluster.links[0]", "missing_rtt")


class TestPrices:
    def test_egress_of_the_catalog(self, zones):
        job = zones({"a": "gcp:us-central1", "b": "gcp:us-west1"}, default_link=GOOD)
        problem = read_job(job)
        assert problem.cluster.links[0].egress_dollars_per_byte == pytest.approx(0.02e-9)
        assert any("0.02 USD/GB" in notice.message for notice in problem.assumed)

    def test_written_price_comes_first_and_zero_is_a_price(self, zones):
        regions = {"a": "gcp:us-central1", "b": "gcp:us-west1"}
        problem = read_job(zones(regions, default_link=GOOD | {"egress_price": "0 USD/GB"}))
        assert problem.cluster.links[0].egress_dollars_per_byte == 0


def test_measured_throughput_is_a_hint(zones, only):
    link = {"between": ["a", "b"], "rtt": "40 ms"}
    finding = only(zones({"a": "gcp:us-central1", "b": "gcp:us-west1"}, links=[link]))
    assert finding.code == "missing_bandwidth"
    assert "was measured" in finding.hint


@pytest.mark.parametrize(
    ("change", "where", "rate"),
    [
        ({"bandwidth": "1 bit/s"}, "cluster.links[0].bandwidth", "1 bit/s"),
        ({"per_flow": "999 kbit/s"}, "cluster.links[0].per_flow", "999 kbit/s"),
    ],
)
def test_link_so_slow_that_its_unit_was_slipped_is_doubted_once(two_zones, change, where, rate):
    (notice,) = [one for one in read_job(two_zones(GOOD | change)).warnings if "is this right" in one.message]
    assert notice.where == where
    assert rate in notice.message
    assert "1 Mbit/s" in notice.message


def test_rates_inside_a_zone_are_doubted_too(small):
    slow = {"network": "2x100 bit/s", "fabric": {"bandwidth": "10 kB/s"}}
    job = small({f"cluster.zones.0.nodes.0.{key}": value for key, value in slow.items()})
    job["cluster"]["zones"][0]["uplink"] = "1 kbit/s"
    doubted = {one.where for one in read_job(job).warnings if "is this right" in one.message}
    assert doubted == {
        "cluster.zones[0].uplink",
        "cluster.zones[0].nodes[0].network",
        "cluster.zones[0].nodes[0].fabric.bandwidth",
    }


def test_slow_but_possible_link_is_taken_without_a_word(two_zones):
    assert not [one for one in read_job(two_zones(GOOD | {"bandwidth": "1 Mbit/s"})).warnings if "right" in one.message]


@pytest.mark.parametrize(("loss", "control", "count"), [("4 %", "reno", 0), ("50 %", "reno", 1), ("50 %", "bbr", 0)])
def test_loss_beyond_its_formula_is_told_once(two_zones, loss, control, count):
    link = GOOD | {"bandwidth": "1 Gbit/s", "loss": loss, "congestion_control": control}
    told = [one for one in read_job(two_zones(link)).warnings if one.where.endswith("loss")]
    assert len(told) == count
    assert all("50%" in one.message and "Padhye" in one.message for one in told)


def test_egress_price_of_both_directions_is_told_once(zones):
    regions = {"a": "gcp:us-central1", "b": "gcp:us-west1"}
    job = zones(regions, links=[{"between": ["a", "b"], **GOOD}])
    (told,) = [one for one in read_job(job).assumed if one.where.endswith("egress_price")]
    assert "between a and b" in told.message


class TestSharedPaths:
    def warned(self, job):
        return [one for one in read_job(job).warnings if one.message.startswith("shared")]

    def test_path_that_one_link_alone_names_is_told(self, two_zones):
        (notice,) = self.warned(two_zones(GOOD | {"shared": "cable"}))
        assert notice.where == "cluster.links[0].shared"
        assert notice.message == 'shared: only the link between bj and sh names the path "cable": nothing shares it.'

    def test_path_of_two_links_is_not(self, zones):
        assert self.warned(zones(dict.fromkeys("abc"), default_link=GOOD | {"shared": "cable"})) == []

    def test_path_without_bandwidth_is_told(self, zones):
        link = {"per_flow": "100 Mbit/s", "rtt": "1 ms", "shared": "cable"}
        (notice,) = self.warned(zones(dict.fromkeys("abc"), default_link=link))
        assert "no link" in notice.message


def test_congestion_control_that_nobody_wrote_is_assumed_where_it_counts(two_zones):
    def assumed(**link):
        return [one.where for one in read_job(two_zones(GOOD | link)).assumed if "cubic" in one.message]

    assert assumed(loss="0.1%") == ["cluster.links[0].congestion_control"]
    assert assumed() == assumed(loss="0.1%", congestion_control="bbr") == []
