from __future__ import annotations

import pytest

from crosszone.server.pointer import pointer

JOB = {"cluster": {"zones": [{"nodes": [{"gpu": "x"}]}]}, "plan": {"tp": 2}, "framework": {"name": "ddp"}}
BODY = {
    "job": JOB,
    "set": ["plan.tp=4", "links.*.rtt=1 ms"],
    "framework": "ddp",
    "plan": {"plan": {"tp": 1}},
    "calibration": {"calibrations": [{"gpu": "y"}]},
}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("cluster.zones[0].nodes[0].gpu", "/job/cluster/zones/0/nodes/0/gpu"),
        ("cluster.zones[3].nodes", "/job/cluster/zones"),  # the nearest that was sent
        ("workload.global_batch_size", "/job"),
        ("framework.name", "/job/framework/name"),
        ("--framework", "/framework"),
        ("--plan: plan.tp", "/plan/plan/tp"),
        ("--calibration[0].gpu", "/calibration/calibrations/0/gpu"),
        ("--calibration", "/calibration"),
        ("links.*.rtt", "/set/1"),
        ("plan.tp", "/set/0"),
        ("--steps", ""),
        ("", ""),
    ],
)
def test_places_lead_into_the_request(where, expected):
    assert pointer(where, BODY) == expected


def test_text_of_a_job_is_one_value():
    assert pointer("cluster.zones[0]", {"job": "model: x"}) == "/job"


def test_keys_are_escaped():
    assert pointer("a/b~c", {"job": {"a/b~c": 1}}) == "/job/a~1b~0c"


def test_what_is_not_of_the_body_has_no_pointer():
    assert pointer("limit", None) is None
