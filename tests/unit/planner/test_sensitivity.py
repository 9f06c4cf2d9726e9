"""What changes are worth: each is a search of the changed job."""

from typing import Any

import pytest

from crosszone.core.explanation import Sensitivity
from crosszone.errors import UnknownName
from crosszone.planner.search import search
from crosszone.planner.sensitivity import sensitivity


def by_kind(found: tuple[Sensitivity, ...], kind: str) -> list[Sensitivity]:
    return [one for one in found if one.kind == kind]


@pytest.fixture(scope="module")
def found(problem: Any) -> tuple[Sensitivity, ...]:
    return sensitivity(search(problem(8, 4, bandwidth="5 Gbit/s", sequences=64, length=4096), top=1))


def test_every_kind_of_change_is_tried(found: tuple[Sensitivity, ...]) -> None:
    kinds = [one.kind for one in found]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "link": 1, "rtt": 1, "nodes": 2, "gpu": 1, "batch": 2, "offload": 1,
    }  # fmt: skip


def test_the_most_comes_first_and_better_hardware_never_loses(found: tuple[Sensitivity, ...]) -> None:
    saved = [one.seconds_saved for one in found]
    assert all(value is not None for value in saved)
    assert saved == sorted(saved, reverse=True)  # type: ignore[type-var]
    for one in found:
        if one.kind in ("link", "rtt", "nodes", "gpu"):
            assert one.seconds_saved is not None
            assert one.step_seconds is not None
            assert one.seconds_saved >= -0.001 * one.step_seconds


def test_a_change_is_worth_what_the_changed_file_plans(found: tuple[Sensitivity, ...], problem: Any) -> None:
    faster = search(problem(8, 4, bandwidth="10 Gbit/s", sequences=64, length=4096), top=1).plans[0]
    assert by_kind(found, "link")[0].step_seconds == pytest.approx(faster.prediction.step_seconds)
    assert by_kind(found, "link")[0].plan == faster.plan


def test_another_batch_counts_by_its_tokens_and_warns(found: tuple[Sensitivity, ...], problem: Any) -> None:
    base = search(problem(8, 4, bandwidth="5 Gbit/s", sequences=64, length=4096), top=1).plans[0].prediction
    for one in by_kind(found, "batch"):
        size = int(one.change.split()[0])
        assert one.step_seconds is not None
        assert one.seconds_saved == pytest.approx(base.step_seconds - one.step_seconds * 64 / size)
        assert "mathematics" in one.note


def test_the_next_faster_kind_is_of_the_same_vendor_and_fabric(found: tuple[Sensitivity, ...]) -> None:
    (one,) = by_kind(found, "gpu")
    assert one.change.startswith("h")
    assert one.change.endswith("instead of a100-sxm4-80gb")


def test_gpus_that_a_person_names_are_tried_everywhere(problem: Any) -> None:
    answer = search(problem(4), top=1)
    named = by_kind(sensitivity(answer, gpus=["b200-sxm-180gb"]), "gpu")
    assert [one.change for one in named] == ["b200-sxm-180gb instead of every GPU"]
    with pytest.raises(UnknownName):
        sensitivity(answer, gpus=["b2000"])


def test_a_narrower_precision_is_weighed_where_every_gpu_has_it(problem: Any, nodes: Any) -> None:
    hopper = problem(nodes(4, gpu="h100-sxm5-80gb"), length=4096, model={"hidden_size": 4096, "ffn_size": 11008})
    (one,) = by_kind(sensitivity(search(hopper, top=1)), "precision")
    assert one.change == "fp8 instead of bf16"
    assert "mathematics" in one.note
    assert one.seconds_saved is not None
    assert one.seconds_saved > 0.0
    mixed = problem(nodes(4, gpu="h100-sxm5-80gb"), 4)
    assert by_kind(sensitivity(search(mixed, top=1)), "precision") == []


def test_host_memory_is_weighed_though_something_fits_without(problem: Any, nodes: Any) -> None:
    tight = problem(nodes(8, gpu="l40s-48gb"), model="llama-2-13b", length=4096)
    answer = search(tight, top=1)
    assert answer.plans[0].plan.offload == "none"
    (one,) = by_kind(sensitivity(answer), "offload")
    assert one.plan is not None
    assert one.plan.offload == "optimizer"
    assert one.seconds_saved is not None
    assert one.seconds_saved > 0.0
    assert "try it first" in one.note
    fixed = problem(4, plan={"offload": "none"})
    assert by_kind(sensitivity(search(fixed, top=1)), "offload") == []


def test_what_cannot_be_planned_says_why(problem: Any) -> None:
    job = problem(2, sequences=16, plan={"dp": 2, "microbatch_size": 8})
    (half,) = [one for one in sensitivity(search(job, top=1)) if one.change.startswith("8 ")]
    assert half.plan is None
    assert half.seconds_saved is None
    assert half.note


def test_progress_goes_from_nothing_to_all(problem: Any) -> None:
    told: list[float] = []
    sensitivity(search(problem(2), top=1), on_progress=told.append)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_without_a_plan_there_is_nothing_to_weigh(problem: Any) -> None:
    answer = search(problem(1, model="gpt3-175b"), top=1)
    assert sensitivity(answer) == ()
