"""What was saved side by side: every value of each, and nothing that was not there."""

from __future__ import annotations

import pytest

from crosszone.errors import SpecError
from crosszone.verify.side_by_side import side_by_side

BEFORE = {
    "schema_version": 1,
    "framework": "megatron",
    "fingerprint": "aa",
    "step_seconds": 2.0,
    "mfu": None,
    "terms": [{"name": "attention", "exposed_seconds": 0.5, "formula": "6 N"}],
    "memory": {"peak_bytes": 10.0, "fits": True, "stages": [{"stage": 0, "zone": "a", "total_bytes": 10.0}]},
    "links": [{"from_zone": "a", "to_zone": "b", "exposed_seconds": 0.1}],
    "costs": {"total_dollars": None},
    "assumed": ["something"],
    "plan": {"tp": 2, "rank_order": ["tp", "dp"], "stages": [{"first_layer": 0, "num_layers": 4}]},
}
AFTER = {
    **BEFORE,
    "fingerprint": "bb",
    "step_seconds": 1.0,
    "terms": [{"name": "bubble", "exposed_seconds": 0.25}],
    "plan": {"tp": 4, "rank_order": ["tp", "dp"], "stages": [{"first_layer": 0, "num_layers": 4}]},
}


def rows(*values):
    found = side_by_side([(f"s{index}", value) for index, value in enumerate(values)])
    return {(row.section, row.name): row for row in found.rows}


def test_sides_are_named_and_known_by_their_fingerprint():
    found = side_by_side([("x", BEFORE), ("y", {**AFTER, "measurement": {"step_seconds": 1.1}})])
    assert [(side.name, side.kind, side.framework, side.fingerprint) for side in found.sides] == [
        ("x", "prediction", "megatron", "aa"),
        ("y", "run", "megatron", "bb"),
    ]


def test_every_value_is_under_its_section_with_ratio_and_difference_to_the_first():
    found = rows(BEFORE, AFTER)
    step = found["time", "step_seconds"]
    assert (step.values, step.ratios, step.is_different) == ((2.0, 1.0), (1.0, 0.5), True)
    assert step.differences == (0.0, -1.0)
    assert found["plan", "plan.tp"].ratios == (1.0, 2.0)
    assert found["memory", "memory.stages[0].total_bytes"].is_different is False
    assert found["links", "links[a,b].exposed_seconds"].values == (0.1, 0.1)
    assert found["plan", "plan.rank_order"].values == ("tp, dp", "tp, dp")
    assert found["plan", "plan.rank_order"].ratios is found["plan", "plan.rank_order"].differences is None
    assert found["memory", "memory.fits"].values == (True, True)
    assert found["memory", "memory.fits"].ratios is None


def test_items_of_lists_are_known_by_what_names_them_and_stages_of_a_plan_by_their_number():
    stages = [{"first_layer": 0, "num_layers": 3}, {"first_layer": 3, "num_layers": 1}]
    found = rows(BEFORE, {**AFTER, "plan": {"stages": stages}})
    assert found["plan", "plan.stages[0].num_layers"].differences == (0.0, -1.0)
    assert found["plan", "plan.stages[1].first_layer"].values == (None, 3)
    names = [name for _, name in found]
    assert not [name for name in names if name.endswith(("].name", "].from_zone", "].stage"))]


def test_what_one_side_lacks_is_unknown_and_not_zero():
    found = rows(BEFORE, AFTER)
    bubble = found["terms", "terms[bubble].exposed_seconds"]
    assert (bubble.values, bubble.ratios, bubble.differences) == ((None, 0.25), (None, None), (None, None))
    assert found["terms", "terms[attention].exposed_seconds"].values == (0.5, None)
    assert found["time", "mfu"].values == (None, None)
    assert found["cost", "costs.total_dollars"].is_different is False


def with_stages(*stages):
    rows = [{"stage": stage, "zone": zone, "total_bytes": size} for stage, zone, size in stages]
    return {**BEFORE, "memory": {"fits": True, "stages": rows, "verdict_bytes": 1.0}}


def test_stages_of_plans_over_different_zones_line_up():
    found = rows(with_stages((0, "a", 10.0), (0, "b", 6.0)), with_stages((0, "c", 5.0), (0, "b", 6.0)))
    assert found["memory", "memory.stages[0].total_bytes"].ratios == (1.0, 0.5)
    assert found["memory", "memory.stages[0].zone"].values == ("a", "c")
    # another replica of the stage is another row, and none is lost
    assert found["memory", "memory.stages[0#2].zone"].values == ("b", "b")


def test_stages_that_only_another_side_has_come_after_the_stage_before_them():
    one, two = with_stages((0, "a", 10.0)), with_stages((0, "a", 5.0), (1, "a", 5.0))
    for sides in ((one, two), (two, one)):
        names = [name for section, name in rows(*sides) if section == "memory"]
        stages = [f"memory.stages[{stage}].{key}" for stage in (0, 1) for key in ("zone", "total_bytes")]
        assert names == ["memory.fits", *stages, "memory.verdict_bytes"]


def test_what_differs_by_rounding_is_the_same():
    step = rows({**BEFORE, "step_seconds": 0.3}, {**BEFORE, "step_seconds": 0.1 + 0.2})["time", "step_seconds"]
    assert (step.ratios, step.differences, step.is_different) == ((1.0, 1.0), (0.0, 0.0), False)
    assert rows(BEFORE, {**BEFORE, "step_seconds": 2.0 + 1e-7})["time", "step_seconds"].is_different
    counts = [{**BEFORE, "step_tokens": 10**12 + more} for more in (0, 1)]
    assert rows(*counts)["time", "step_tokens"].is_different  # whole numbers are exact


def test_words_about_values_are_left_out():
    assert not [name for _, name in rows(BEFORE, AFTER) if "formula" in name or "assumed" in name]


def test_sections_come_in_one_order_and_inputs_first():
    problem = {"model": {"name": "m"}, "workload": {"sequence_length": 8}, "cluster": {"zones": [{"name": "a"}]}}
    found = side_by_side([("x", BEFORE), ("y", {**AFTER, "problem": problem})])
    sections = list(dict.fromkeys(row.section for row in found.rows))
    assert sections == ["inputs", "plan", "time", "terms", "memory", "links", "cost"]
    assert {row.name: row.values for row in found.rows}["model.name"] == (None, "m")


def test_what_was_measured_stands_beside_what_was_predicted():
    run = {"problem": None, "measurement": {"step_seconds": 2.2, "memory": {"peak_bytes": 9.0}}}
    found = rows({**BEFORE, **run}, run)
    assert found["measured", "measurement.step_seconds"].values == (2.2, 2.2)
    assert found["time", "step_seconds"].values == (2.0, None)


def test_a_number_against_zero_has_no_ratio():
    found = rows({**BEFORE, "step_seconds": 0.0}, AFTER)
    assert found["time", "step_seconds"].ratios == (None, None)
    assert found["time", "step_seconds"].differences == (0.0, 1.0)
    huge = rows({**BEFORE, "step_seconds": 10**400}, {**AFTER, "step_seconds": 1.0})["time", "step_seconds"]
    assert huge.ratios == huge.differences == (None, None)  # too large to reckon with


@pytest.mark.parametrize("number", [1, 21])
def test_fewer_than_two_and_more_than_can_be_read_are_refused(number):
    with pytest.raises(SpecError, match=f"{number} are given"):
        side_by_side([("x", BEFORE)] * number)


def test_all_that_are_no_predictions_are_told_at_once():
    with pytest.raises(SpecError) as caught:
        side_by_side([("x", {}), ("y", BEFORE), ("z", {"step_seconds": "2"})])
    assert [finding.where for finding in caught.value.findings] == ["x", "z"]


def test_json_that_nobody_wrote_is_refused_and_not_followed_for_ever():
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(SpecError, match="nested"):
        side_by_side([("x", BEFORE), ("y", {**BEFORE, "memory": deep})])
    odd = {**BEFORE, "terms": "none", "links": 3, "memory": [[{}, 1], None], "problem": [], "plan": None}
    side_by_side([("x", BEFORE), ("y", odd)])
