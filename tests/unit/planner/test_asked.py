"""What a person asks for in one line, and the arithmetic that it breaks."""

import dataclasses
from typing import Any

import pytest

from crosszone.core.plan import Sync
from crosszone.core.problem import PlanRequest, StageRequest
from crosszone.errors import SpecError
from crosszone.planner.asked import asked, illegal


def wrong(problem: Any, text: str, **more: Any) -> list[str]:
    job = problem(8, 4, **more)
    return illegal(asked(job, text).on(job))


@pytest.mark.parametrize("text", ["tp=2,pp=4", "tp=2 pp=4", " tp = 2 , pp = 4 "])
def test_keys_and_values_are_parted_by_commas_or_spaces(problem: Any, text: str) -> None:
    found = asked(problem(8), text)
    assert found.values == (("tp", 2), ("pp", 4))
    assert found.keys == ("tp", "pp")


def test_words_zones_and_ways_are_read(problem: Any) -> None:
    job = problem(8, 4, 2)
    found = asked(job, "framework=fsdp,zones=a+c,sync=diloco,every=30,shard=parameters,sequence_parallel=true")
    changed = found.on(job)
    assert changed.framework == "fsdp"
    assert changed.constraints.exclude_zones == ("b",)
    assert changed.plan == PlanRequest(sync=Sync(method="diloco", every=30), shard="parameters", sequence_parallel=True)


def test_what_the_job_fixes_otherwise_stays_and_written_stages_make_room(problem: Any) -> None:
    job = problem(8, plan={"tp": 2, "recompute": "full"})
    staged = dataclasses.replace(job, plan=dataclasses.replace(job.plan, stages=(StageRequest(num_layers=8),)))
    changed = asked(staged, "pp=2").on(staged).plan
    assert (changed.tp, changed.pp, changed.recompute, changed.stages) == (2, 2, "full", None)


def test_everything_that_is_wrong_is_told_at_once(problem: Any) -> None:
    with pytest.raises(SpecError) as caught:
        asked(problem(8, 4), "tpp=1,pp=x,zones=a+q,schedule=2f2b,tp=1,tp=2,dp,every=3")
    text = str(caught.value)
    for part in ('"tpp"', 'pp is "x"', 'no zone "q"', '"2f2b"', "tp is written twice", '"dp" is not a key', "sync too"):
        assert part in text
    assert {finding.where for finding in caught.value.findings} == {"--why"}


@pytest.mark.parametrize("text", ["", "  ", ","])
def test_nothing_is_no_question(problem: Any, text: str) -> None:
    with pytest.raises(SpecError, match="nothing is asked"):
        asked(problem(8), text)


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("tp=3", {}, "tp=3 does not divide 8 heads; 2 and 4 would."),
        ("pp=9", {}, "pp=9 is more than 8 layers."),
        ("pp=4,num_virtual_stages=4", {}, "pp*num_virtual_stages = 4*4 = 16 is more than 8 layers."),
        ("cp=3", {}, "2*cp = 6 does not divide the sequence length 2048."),
        ("ep=4", {}, "ep=4 does not divide 1 experts; 1 would."),
        ("microbatch_size=3", {}, "microbatch_size=3 does not divide 16 sequences a step; 2 and 4 would."),
        ("dp=8,microbatch_size=4", {}, "dp*microbatch_size = 8*4 = 32 is more than 16 sequences a step"),
        ("dp=6,dp_shard=4", {}, "dp_shard=4 does not divide dp=6; 3 and 6 would."),
        ("tp=8,pp=4", {}, "tp*pp = 8*4 = 32 ranks, a, b have 12 GPUs."),
        ("dp=13", {}, "dp=13 ranks, a, b have 12 GPUs."),
        ("tp=8,zones=b", {}, "tp=8 ranks, b has 4 GPUs."),
        ("schedule=zbv,pp=1", {}, "The schedule zbv cannot run pp=1: it needs pp above 1."),
    ],
)
def test_broken_arithmetic_is_told_with_numbers(problem: Any, text: str, more: dict[str, Any], says: str) -> None:
    found = wrong(problem, text, **more)
    assert any(says in one for one in found), found


def test_what_works_has_no_reasons(problem: Any) -> None:
    assert wrong(problem, "tp=4,pp=2,microbatch_size=2") == []


def test_leaving_one_thing_open_keeps_the_others(problem: Any) -> None:
    found = asked(problem(8, 4), "tp=2,pp=4,zones=a")
    assert found.without("tp").keys == ("pp", "zones")
    assert found.without("zones").keys == ("tp", "pp")


def test_a_zone_that_is_named_twice_is_refused(problem: Any) -> None:
    with pytest.raises(SpecError, match='zone "a" is written twice'):
        asked(problem(8, 4), "zones=a+a")


def test_virtual_stages_that_the_search_does_not_try_are_told_as_its_limit(problem: Any) -> None:
    (found,) = wrong(problem, "pp=2,num_virtual_stages=3")
    assert "2*3 = 6 does not divide 8 layers, as the search wants it of even stages; 2 and 4 would" in found
    assert "Write plan.stages" in found
    assert wrong(problem, "pp=2,num_virtual_stages=4") == []
    assert wrong(problem, "pp=3,num_virtual_stages=2") == []  # no even stages: chunks may be uneven
