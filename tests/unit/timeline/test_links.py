"""What crosses each link, and a word where it is too much."""

import dataclasses
from typing import Any

import pytest

from crosszone.core.prediction import Link, LinkGroup
from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.links import full_paths


@pytest.fixture
def prepared(job: Any) -> Inputs:
    problem: Problem = job({"tp": 1, "pp": 1, "microbatch_size": 1})
    first, second = problem.cluster.zones
    zones = (dataclasses.replace(first, uplink_bytes_per_second=1e8), second)
    cluster = dataclasses.replace(problem.cluster, zones=zones)
    return inputs(dataclasses.replace(problem, cluster=cluster), (framework_facts("megatron"),))


def link(start: str, end: str, *seconds: float) -> Link:
    """A link at 125 MB/s with one group for each of `seconds`."""
    groups = tuple(
        LinkGroup(group=name, step_bytes=125e6 * time, seconds=time) for name, time in zip("xy", seconds, strict=False)
    )
    return Link(
        from_zone=start,
        to_zone=end,
        step_bytes=125e6 * sum(seconds),
        bytes_per_second=125e6,
        raw_seconds=sum(seconds),
        exposed_seconds=0.0,
        utilization_fraction=1.0,
        dollars_per_hour=None,
        groups=groups,
    )


def test_links_with_time_to_spare_are_not_told(prepared: Inputs) -> None:
    assert full_paths(prepared, (link("b", "a", 0.5, 0.25),), 1.0) == ()


def test_groups_that_ask_for_more_than_a_step(prepared: Inputs) -> None:
    assert full_paths(prepared, (link("b", "a", 0.7, 0.6),), 1.0) == (
        "The link from b to a is asked for 130% of what it carries in a step: the step will take longer.",
        "The uplink to a is asked for 162% of what it carries in a step: the step will take longer.",
    )


def test_an_uplink_is_narrower_than_its_link(prepared: Inputs) -> None:
    (told,) = full_paths(prepared, (link("a", "b", 0.9),), 1.0)
    assert told.startswith("The uplink from a is asked for 112%")
