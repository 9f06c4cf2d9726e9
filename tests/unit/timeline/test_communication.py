"""What ranks send each other, added up from terms and links."""

import pytest

from crosszone import service

JOB = {
    "model": "llama-2-7b",
    "workload": {"sequence_length": 4096, "global_batch_size": 64},
    "cluster": {
        "zones": [
            {"name": name, "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8}]}
            for name in ("east", "west")
        ],
        "links": [
            {"between": ["east", "west"], "bandwidth": "10 Gbit/s", "rtt": "20 ms", "egress_price": "0.02 USD/GB"}
        ],
    },
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "pp": 2, "dp": 4, "microbatch_size": 1},
}


@pytest.fixture(scope="module")
def prediction():
    return service.predict(service.read(JOB)).prediction


def test_its_groups_add_up_to_the_share_of_the_step_and_to_what_links_carry(prediction):
    found = prediction.communication
    exposed = prediction.exposed_communication_fraction * prediction.step_seconds
    assert found.exposed_seconds == pytest.approx(exposed)
    assert found.exposed_seconds == pytest.approx(sum(group.exposed_seconds for group in found.groups))
    assert found.zone_bytes == pytest.approx(sum(link.step_bytes for link in prediction.links))
    assert found.zone_bytes == pytest.approx(sum(group.zone_bytes for group in found.groups))
    assert found.zone_dollars_per_hour == pytest.approx(sum(link.dollars_per_hour for link in prediction.links))


def test_the_pipeline_that_crosses_is_told_apart_from_what_stays_in_a_zone(prediction):
    groups = {group.group: group for group in prediction.communication.groups}
    assert groups["pp"].zone_bytes > 0.0
    assert groups["tp"].zone_bytes == groups["dp"].zone_bytes == 0.0
    assert groups["tp"].exposed_seconds > 0.0


def test_an_unknown_price_of_one_link_leaves_the_sum_unknown():
    links = [{key: value for key, value in JOB["cluster"]["links"][0].items() if key != "egress_price"}]
    job = {**JOB, "cluster": {**JOB["cluster"], "links": links}}
    assert service.predict(service.read(job)).prediction.communication.zone_dollars_per_hour is None
