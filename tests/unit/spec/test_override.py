"""Single values of a job file by their place: what keys mean, what values become, and what is wrong with them."""

from typing import Any

import pytest

from crosszone.errors import SpecError
from crosszone.spec import open_job
from crosszone.spec.override import override
from crosszone.spec.yaml_source import Source


def job() -> dict[str, Any]:
    return {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 4096, "global_batch_size": 64, "train_tokens": "1T"},
        "cluster": {
            "zones": [
                {"name": name, "nodes": [{"count": 2, "gpu": "h100-sxm5-80gb", "network": "4x200 Gbit/s"}]}
                for name in ("north", "south", "west-1")
            ],
            "links": [
                {"between": ["north", "south"], "bandwidth": "10 Gbit/s", "rtt": "20 ms"},
                {"from": "north", "to": "west-1", "per_node": "2.5 Gbit/s", "rtt": "30 ms"},
            ],
            "default_link": {"bandwidth": "1 Gbit/s", "rtt": "50 ms"},
        },
    }


def changed(*settings: str, value: dict[str, Any] | None = None) -> dict[str, Any]:
    source, _, found = override(Source(value=value or job(), lines={}, duplicates={}), settings)
    assert not found
    return source.value


def findings(*settings: str) -> list[tuple[str, str, str]]:
    _, _, found = override(Source(value=job(), lines={}, duplicates={}), settings)
    return [(one.where, one.message, one.hint) for one in found]


def test_a_key_is_a_place_and_a_value_is_what_yaml_would_read() -> None:
    value = changed("workload.global_batch_size=512", "cluster.links[0].bandwidth=20 Gbit/s", "plan.prefetch=0")
    assert value["workload"]["global_batch_size"] == 512
    assert value["cluster"]["links"][0]["bandwidth"] == "20 Gbit/s"
    assert value["plan"] == {"prefetch": 0}, "a section that is absent is made"


def test_the_file_itself_stays_as_it_is() -> None:
    original = job()
    changed("cluster.links[0].bandwidth=20 Gbit/s", "plan.sync.codecs.gradients=int8_block", value=original)
    assert original == job()


def test_values_may_be_lists_null_and_truth() -> None:
    value = changed("constraints.exclude_zones=[south]", "plan=null", "workload.x=true")
    assert value["constraints"] == {"exclude_zones": ["south"]}
    assert value["plan"] is None
    assert value["workload"]["x"] is True


def test_an_equals_sign_in_the_value_belongs_to_it() -> None:
    assert changed("workload.note=a=b")["workload"]["note"] == "a=b"


@pytest.mark.parametrize("key", ["links[north,south].rtt", "links[south, north].rtt", "cluster.links[0].rtt"])
def test_a_link_is_known_by_its_zones_in_any_order(key: str) -> None:
    value = changed(f"{key}=10 ms")
    assert [link["rtt"] for link in value["cluster"]["links"]] == ["10 ms", "30 ms"]


def test_a_pair_finds_links_of_one_direction_too() -> None:
    assert changed("links[west-1,north].rtt=5 ms")["cluster"]["links"][1]["rtt"] == "5 ms"


def test_a_pair_that_the_default_joins_gets_a_link_of_its_own() -> None:
    value = changed("links[south,west-1].bandwidth=x4")
    assert value["cluster"]["links"][2] == {"between": ["south", "west-1"], "bandwidth": "4 Gbit/s", "rtt": "50 ms"}
    assert value["cluster"]["default_link"]["bandwidth"] == "1 Gbit/s"


@pytest.mark.parametrize("key", ["links.*.rtt", "cluster.links[*].rtt"])
def test_a_star_is_every_link_and_the_default(key: str) -> None:
    cluster = changed(f"{key}=1 ms")["cluster"]
    assert [link["rtt"] for link in cluster["links"]] == ["1 ms", "1 ms"]
    assert cluster["default_link"]["rtt"] == "1 ms"


def test_a_star_is_the_default_alone_where_there_are_no_links() -> None:
    value = job()
    del value["cluster"]["links"]
    assert changed("links.*.rtt=1 ms", value=value)["cluster"]["default_link"]["rtt"] == "1 ms"


def test_a_zone_is_known_by_its_name() -> None:
    value = changed("zones[west-1].nodes[0].count=7")
    assert [zone["nodes"][0]["count"] for zone in value["cluster"]["zones"]] == [2, 2, 7]


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("workload.global_batch_size=x2", ("workload", "global_batch_size"), 128),
        ("workload.global_batch_size=*0.5", ("workload", "global_batch_size"), 32),
        ("workload.global_batch_size=x0.3", ("workload", "global_batch_size"), 19.2),
        ("workload.train_tokens=x2", ("workload", "train_tokens"), "2T"),
        ("zones[north].nodes[0].network=x2", ("cluster", "zones", 0, "nodes", 0, "network"), "4x400 Gbit/s"),
        ("links[1].per_node=x3", ("cluster", "links", 1, "per_node"), "7.5 Gbit/s"),
    ],
)
def test_x_multiplies_what_is_written_and_keeps_its_unit(setting: str, path: tuple[Any, ...], expected: Any) -> None:
    value: Any = changed(setting)
    for part in path:
        value = value[part]
    assert value == expected
    assert type(value) is type(expected)


def test_later_settings_come_over_earlier_ones() -> None:
    assert (
        changed("workload.global_batch_size=8", "workload.global_batch_size=x2")["workload"]["global_batch_size"] == 16
    )


def test_places_that_were_set_are_told() -> None:
    source = Source(value=job(), lines={("workload",): 3}, duplicates={})
    after, places, _ = override(source, ["links.*.rtt=x2", "plan.tp=2"])
    assert places == (
        ("cluster", "links", 0, "rtt"),
        ("cluster", "links", 1, "rtt"),
        ("cluster", "default_link", "rtt"),
        ("plan", "tp"),
    )
    assert after.lines == {}, "what is told of a changed job is not on a line of the file"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = findings(
        "bandwidth",
        "links[7].rtt=1 ms",
        "links[nort,south].rtt=1 ms",
        "links[north,north].rtt=1 ms",
        "zones[west].uplink=1 Gbit/s",
        "model.num_layers=3",
        "links.*.loss=x2",
        "links.*.bandwith=x2",
        "plan.stages[0].num_layers=4",
    )
    assert found == [
        ("bandwidth", '"bandwidth" is not a key and a value.', 'Write KEY=VALUE, as "links.*.bandwidth=20 Gbit/s".'),
        ("links[7].rtt", "there is no cluster.links[7]: its items are 0 to 1.", ""),
        ("links[nort,south].rtt", 'there is no zone "nort".', 'Did you mean "north"?'),
        (
            "links[north,north].rtt",
            "[north,north] is not two zones.",
            "Write a link as links[0], or as links[ZONE,ZONE].",
        ),
        ("zones[west].uplink", 'cluster.zones has no zone "west".', 'Did you mean "west-1"?'),
        ("model.num_layers", 'model is "llama-2-7b", which has no "num_layers" in it.', ""),
        (
            "links.*.loss",
            "cluster.links[0].loss is not written: there is nothing to multiply.",
            "Write the value itself.",
        ),
        (
            "links.*.bandwith",
            "cluster.links[0].bandwith is not written: there is nothing to multiply.",
            'Did you mean "bandwidth"?',
        ),
        ("plan.stages[0].num_layers", "the job file has no plan.stages.", ""),
    ]


def test_what_is_no_number_cannot_be_multiplied() -> None:
    ((_, message, _),) = findings("workload.train_tokens=many", "workload.train_tokens=x2")
    assert message == 'workload.train_tokens is "many", which is no number: there is nothing to multiply.'


def test_settings_that_are_none_and_values_that_cannot_be_are_told_together() -> None:
    wrong = ["links.*.bandwith=1 Gbit/s", "workload.precision=bf17", "nonsense", "links[0].rtt=5"]
    with pytest.raises(SpecError) as caught:
        open_job(job()).with_settings(wrong)
    told = {one.where for one in caught.value.findings}
    assert {"nonsense", "cluster.links[0].bandwith", "workload.precision", "cluster.links[0].rtt"} <= told
