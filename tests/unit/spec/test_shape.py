"""Keys and values one by one: every mistake has its place and its remedy, and all of them come at once."""

from __future__ import annotations

import pytest

from crosszone.errors import SpecError
from crosszone.spec import read_job_text


def by_place(findings) -> dict[str, str]:
    places = {finding.where: f"{finding.message} {finding.hint}" for finding in findings}
    assert len(places) == len(findings), "two findings at one place"
    return places


@pytest.mark.parametrize(
    ("place", "value", "where", "code", "says"),
    [
        ("plan.pb", 2, "plan.pb", "unknown_key", '"pp"'),
        ("workload.sequence_lenght", 1, "workload.sequence_lenght", "unknown_key", '"sequence_length"'),
        ("workload.gradients", "bf16", "workload.gradients", "unknown_key", "workload.dtypes"),
        ("custer", {}, "custer", "unknown_key", '"cluster"'),
        ("cluster.zones.0.nodes.0.gpus", 8, "cluster.zones[0].nodes[0].gpus", "unknown_key", '"gpu"'),
        ("cluster.zones.0.nodes.0.network", 200, "cluster.zones[0].nodes[0].network", "no_unit", "200 Gbit/s"),
        ("cluster.zones.0.uplink", "10", "cluster.zones[0].uplink", "no_unit", "10 Gbit/s"),
        ("cluster.default_link.rtt", 28, "cluster.default_link.rtt", "no_unit", "rtt 28 has no unit"),
        ("cluster.zones.0.nodes.0.price", 2.1, "cluster.zones[0].nodes[0].price", "no_unit", "2.1 USD/h"),
        ("cluster.zones.0.nodes.0.memory", "1 Tb", "cluster.zones[0].nodes[0].memory", "wrong_unit", "bits"),
        ("objective.budget", 50000, "objective.budget", "no_unit", "50000 USD"),
        ("workload.optimizer", "adamv", "workload.optimizer", "unknown_name", '"adamw"'),
        ("plan.schedule", "1f1d", "plan.schedule", "unknown_name", '"1f1b"'),
        ("plan.shard", "optimiser", "plan.shard", "unknown_name", '"optimizer"'),
        ("plan.sync.method", "hierarchic", "plan.sync.method", "unknown_name", '"hierarchical"'),
        (
            "objective.minimize",
            "money",
            "objective.minimize",
            "unknown_name",
            "time, goodput, cost, throughput_per_dollar",
        ),
        ("plan.tp", 0, "plan.tp", "out_of_range", "from 1"),
        ("plan.tp", -2, "plan.tp", "out_of_range", "-2"),
        ("plan.tp", 2.5, "plan.tp", "wrong_type", "2.5"),
        ("plan.tp", True, "plan.tp", "wrong_type", "tp true is"),
        ("plan.sequence_parallel", "yes", "plan.sequence_parallel", "wrong_type", "true or false"),
        ("plan.rank_order", ["tp", "dp"], "plan.rank_order", "invalid", "[tp, cp, dp, pp]"),
        ("workload.global_batch_size", 10**12, "workload.global_batch_size", "out_of_range", "1000000000"),
        ("cluster.default_link.rtt", "28.6 h", "cluster.default_link.rtt", "out_of_range", "60 s"),
        ("cluster.default_link.loss", 0.9, "cluster.default_link.loss", "out_of_range", "0.5"),
        ("cluster.zones.0.location", [39.9, 216.0], "cluster.zones[0].location[1]", "out_of_range", "180"),
        ("cluster.zones.0.oversubscription", 0.5, "cluster.zones[0].oversubscription", "out_of_range", "from 1"),
        ("cluster.zones.0.name", "", "cluster.zones[0].name", "invalid", "printable"),
        ("cluster.zones.0.name", 1, "cluster.zones[0].name", "wrong_type", "text"),
        ("cluster.zones.0.nodes", [], "cluster.zones[0].nodes", "invalid", "at least 1"),
        ("cluster.zones", [], "cluster.zones", "invalid", "at least 1"),
        ("cluster.zones.0", 5, "cluster.zones[0]", "wrong_type", "mapping"),
        ("cluster.zones.0.nodes.0", None, "cluster.zones[0].nodes[0]", "wrong_type", "mapping"),
        ("cluster.links", 5, "cluster.links", "wrong_type", "list"),
        ("cluster.links", [5], "cluster.links[0]", "wrong_type", "mapping"),
        ("cluster", "here", "cluster", "wrong_type", "mapping"),
        ("framework", "megatron", "framework", "wrong_type", "{name: megatron}"),
        ("constraints.exclude_zones", [1], "constraints.exclude_zones[0]", "wrong_type", "text"),
        ("constraints.allow", ["diloco"], "constraints.allow[0]", "unknown_name", "local_sgd"),
        ("model", 7, "model", "wrong_type", "text"),
        ("model", {"parameters": "13 GB"}, "model.parameters", "wrong_unit", "bytes"),
        ("schema_version", 2, "schema_version", "schema_version", "1"),
    ],
)
def test_one_mistake_is_one_finding(small, only, place, value, where, code, says):
    finding = only(small({place: value}))
    assert (finding.where, finding.code) == (where, code)
    assert says in f"{finding.message} {finding.hint}"


@pytest.mark.parametrize(
    ("parent", "key"),
    [
        ((), "model"),
        ((), "workload"),
        ((), "cluster"),
        (("workload",), "sequence_length"),
        (("workload",), "global_batch_size"),
        (("cluster",), "zones"),
        (("cluster", "zones", 0), "name"),
        (("cluster", "zones", 0), "nodes"),
        (("cluster", "zones", 0, "nodes", 0), "gpu"),
        (("cluster", "zones", 0, "nodes", 0), "count"),
        (("cluster", "zones", 0, "nodes", 0), "gpus_per_node"),
    ],
)
def test_missing_key(small, only, parent, key):
    job = target = small()
    for part in parent:
        target = target[part]
    del target[key]
    finding = only(job)
    assert finding.code == "missing_key"
    assert finding.where.endswith(key)


def test_empty_sections_are_absent(small, findings):
    nothing = dict.fromkeys(("plan", "framework", "objective", "constraints"))
    assert findings(small(nothing)) == ()


def test_everything_at_once(small, findings):
    job = small(
        {
            "model": "llama-2-7c",
            "workload.optimizer": "adamv",
            "workload.global_batch_size": "many",
            "cluster.zones.0.nodes.0.count": 0,
            "cluster.zones.0.nodes.0.gpu": "a1000",
            "cluster.zones.0.nodes.0.mtbf": 30,
            "cluster.default_link": {"bandwith": "1 Gbit/s"},
            "plan": {"tp": 8, "sequence_parallel": 1, "dp_shard": 3, "dp": 4, "foo": 1},
            "objective.deadline": 30,
            "constraints.exclude_zones": ["b"],
        }
    )
    assert set(by_place(findings(job))) == {
        "model",
        "workload.optimizer",
        "workload.global_batch_size",
        "cluster.zones[0].nodes[0].count",
        "cluster.zones[0].nodes[0].gpu",
        "cluster.zones[0].nodes[0].mtbf",
        "cluster.default_link.bandwith",
        "plan.sequence_parallel",
        "plan.dp_shard",
        "plan.foo",
        "objective.deadline",
        "constraints.exclude_zones[0]",
    }


def test_arithmetic_is_checked_beside_a_bad_key(small, findings):
    job = small({"plan": {"tp": 8, "pp": 4, "dp": 2, "shcedule": "1f1b"}})
    assert set(by_place(findings(job))) == {"plan", "plan.shcedule"}


class TestWhatFollowsIsNotToldAgain:
    def test_misspelt_required_key(self, small, only):
        job = small({"workload.sequence_lenght": 4096})
        del job["workload"]["sequence_length"]
        assert only(job).where == "workload.sequence_lenght"

    def test_unreadable_count_hides_the_sum_of_gpus(self, small, only):
        job = small({"cluster.zones.0.nodes.0.count": "four", "plan": {"tp": 8, "pp": 8, "dp": 8, "cp": 1}})
        assert only(job).where == "cluster.zones[0].nodes[0].count"

    def test_unreadable_zone_name_hides_references_to_it(self, two_zones, only):
        job = two_zones({"bandwidth": "1 Gbit/s", "rtt": "30 ms"})
        job["cluster"]["zones"][1]["name"] = 5
        assert only(job).where == "cluster.zones[1].name"

    @pytest.mark.parametrize("link", [{"bandwidth": 10, "rtt": "30 ms"}, {"bandwith": "1 Gbit/s", "rtt": "30 ms"}])
    def test_unreadable_bandwidth_is_not_missing(self, two_zones, findings, link):
        assert len(findings(two_zones(link))) == 1

    def test_but_the_rest_of_the_link_is_checked(self, two_zones, findings):
        places = by_place(findings(two_zones({"rtt": 30})))
        assert set(places) == {"cluster.links[0].rtt", "cluster.links[0]"}

    def test_unreadable_end_does_not_make_links_missing(self, two_zones, only):
        job = two_zones({"bandwidth": "1 Gbit/s", "rtt": "30 ms"})
        job["cluster"]["links"][0]["between"] = ["bj"]
        assert only(job).where == "cluster.links[0].between"


def test_findings_carry_lines_in_the_order_of_the_file(example):
    text = (
        example.replace("30 d", "30").replace("rtt: 28.6", "rtt: 1").replace("adamw", "sgdm").replace("80gb", "81gb", 1)
    )
    with pytest.raises(SpecError) as caught:
        read_job_text(text)
    assert [(finding.where, finding.message.split(":")[0]) for finding in caught.value.findings] == [
        ("workload.optimizer", "line 2"),
        ("cluster.zones[0].nodes[0].gpu", "line 7"),
        ("cluster.links[0].rtt", "line 12"),
        ("objective.deadline", "line 15"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan.stages": [1]}, "item 0 of stages 1 is not a mapping"),
        ({"plan.stages": [None]}, "item 0 of stages null is not a mapping"),
        ({"cluster.zones.0.location": [1]}, "location has only 1 of its items."),
        ({"model": None}, "is empty."),
    ],
)
def test_messages_name_lists_and_gaps_in_words(small, only, changes, message):
    assert message in only(small(changes)).message
