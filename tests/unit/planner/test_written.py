"""Plans that a person wrote stage by stage or replica by replica."""

from typing import Any

import pytest

from crosszone.core.plan import Plan
from crosszone.errors import CrossZoneError, InfeasiblePlan, SpecError
from crosszone.frameworks import framework_names
from crosszone.planner.written import best_written, written_plan

HALVES = [{"num_layers": 4, "zone": "a"}, {"num_layers": 4, "zone": "b"}]


def written(problem: Any, *zones: Any, plan: dict[str, Any], framework: str = "megatron", **more: Any) -> Plan:
    return written_plan(problem(*zones, plan=plan, **more), framework)


def refusal(problem: Any, *zones: Any, plan: dict[str, Any], **more: Any) -> CrossZoneError:
    with pytest.raises(SpecError) as caught:
        written(problem, *zones, plan=plan, **more)
    return caught.value


def test_stages_lie_where_they_are_written(problem: Any) -> None:
    plan = written(
        problem, 8, 8, plan={"tp": 4, "stages": [{"num_layers": 3, "zone": "a"}, {"num_layers": 5, "zone": "b"}]}
    )
    assert [(stage.first_layer, stage.num_layers, stage.zone) for stage in plan.stages] == [(0, 3, "a"), (3, 5, "b")]
    assert plan.zone_axis == "pp"
    assert plan.replicas[0].zones == ("a", "b")


def test_as_many_replicas_as_the_fullest_zone_has_room_for(problem: Any) -> None:
    plan = written(problem, 8, 4, plan={"tp": 2, "stages": HALVES})
    assert plan.dp == 2
    assert [(idle.zone, idle.num_gpus) for idle in plan.idle_gpus] == [("a", 4)]


def test_no_more_replicas_than_microbatches(problem: Any) -> None:
    plan = written(problem, 8, plan={"stages": [{"num_layers": 8, "zone": "a"}]}, sequences=3)
    assert plan.dp == 3


def test_stages_without_a_zone_lie_in_the_first_that_is_not_excluded(problem: Any) -> None:
    plan = written(
        problem, 4, 4, plan={"stages": [{"num_layers": 8}]}, constraints={"exclude_zones": ["a"]}, sequences=16
    )
    assert plan.zones == ("b",)


def test_stages_of_one_zone_share_its_gpus(problem: Any) -> None:
    plan = written(problem, 8, plan={"tp": 2, "stages": [{"num_layers": 4}, {"num_layers": 4}]})
    assert plan.dp == 2
    assert plan.world_size == 8
    assert plan.idle_gpus == ()


def test_a_node_group_is_chosen_by_its_index(problem: Any, nodes: Any) -> None:
    stages = [{"num_layers": 8, "zone": "a", "node_group": 1}]
    plan = written(problem, [nodes(8), nodes(4)], plan={"tp": 4, "stages": stages})
    assert plan.replicas[0].node_groups == (1,)
    assert plan.dp == 1


def test_all_replicas_of_a_stage_lie_in_one_node_group(problem: Any, nodes: Any) -> None:
    plan = written(problem, [nodes(4), nodes(8)], plan={"tp": 4, "stages": [{"num_layers": 8}]})
    assert plan.dp == 2
    assert plan.replicas[0].node_groups == (1,)


def test_the_first_node_group_with_room_is_taken(problem: Any, nodes: Any) -> None:
    plan = written(problem, [nodes(2), nodes(4)], plan={"tp": 4, "dp": 1, "stages": [{"num_layers": 8}], "idle_gpus": [
        {"zone": "a", "num_gpus": 2}]})  # fmt: skip
    assert plan.replicas[0].node_groups == (1,)


def test_gpus_wanted_idle_are_not_used(problem: Any) -> None:
    plan = written(
        problem, 8, plan={"tp": 2, "stages": [{"num_layers": 8}], "idle_gpus": [{"zone": "a", "num_gpus": 4}]}
    )
    assert plan.dp == 2
    assert plan.idle_gpus[0].num_gpus == 4


def test_replicas_lie_where_they_are_written_and_weigh_what_they_consume(problem: Any) -> None:
    replicas = [
        {"zones": ["a"], "num_replicas": 2, "num_microbatches": 6},
        {"zones": ["b"], "num_microbatches": 4},
    ]
    plan = written(problem, 8, 4, plan={"tp": 4, "replicas": replicas})
    assert plan.dp == 3
    assert plan.zone_axis == "dp"
    assert [replica.weight for replica in plan.replicas] == [0.75, 0.25]
    assert plan.stages[0].zone is None


def test_replicas_share_what_others_leave_of_the_batch(problem: Any) -> None:
    replicas = [{"zones": ["a"], "num_microbatches": 10}, {"zones": ["b"], "num_replicas": 2}]
    plan = written(problem, 4, 8, plan={"tp": 4, "replicas": replicas})
    assert [replica.num_microbatches for replica in plan.replicas] == [10, 3]


def test_where_the_batch_does_not_divide_some_replicas_do_one_more(problem: Any) -> None:
    plan = written(problem, 7, plan={"stages": [{"num_layers": 8}]}, framework="ddp")
    assert [(replica.num_replicas, replica.num_microbatches) for replica in plan.replicas] == [(2, 3), (5, 2)]
    assert sum(replica.weight for replica in plan.replicas) == pytest.approx(1.0)


def test_one_zone_stands_for_all_stages_of_a_replica(problem: Any) -> None:
    plan = written(problem, 12, 4, plan={"tp": 4, "pp": 2, "replicas": [{"zones": ["a"]}, {"zones": ["b", "a"]}]})
    assert [replica.zones for replica in plan.replicas] == [("a", "a"), ("b", "a")]
    assert plan.zone_axis == "dp+pp"


def test_layers_that_are_not_written_are_spread_evenly_later_stages_first(problem: Any) -> None:
    plan = written(problem, 3, plan={"pp": 3, "replicas": [{"zones": ["a"]}]})
    assert [stage.num_layers for stage in plan.stages] == [2, 3, 3]


def test_virtual_stages_are_interleaved(problem: Any) -> None:
    plan = written(problem, 2, plan={"num_virtual_stages": 2, "stages": [{"num_layers": 4}, {"num_layers": 4}]})
    assert plan.schedule == "interleaved_1f1b"


def test_interleaving_without_a_number_is_refused(problem: Any) -> None:
    stages = [{"num_layers": 4}, {"num_layers": 4}]
    error = refusal(problem, 2, plan={"schedule": "interleaved_1f1b", "stages": stages})
    assert "num_virtual_stages" in str(error)


def test_too_few_gpus_are_told_with_both_numbers(problem: Any) -> None:
    replicas = [{"zones": ["a"], "num_replicas": 2}, {"zones": ["b"], "num_replicas": 2}]
    error = refusal(problem, 12, 4, plan={"tp": 4, "replicas": replicas})
    assert error.findings[0].code == "too_few_gpus"
    assert "8 GPUs in b, where no node group has more than 4" in error.findings[0].message
    assert error.findings[0].where == "plan.replicas[1]"


@pytest.mark.parametrize(
    ("counts", "numbers"), [((5, 5), ("16", "10")), ((20, None), ("16", "20")), ((16, None), ("16",))]
)
def test_microbatches_that_do_not_add_up_are_told_with_both_numbers(
    problem: Any, counts: tuple[int, int | None], numbers: tuple[str, ...]
) -> None:
    replicas: list[dict[str, Any]] = [{"zones": [zone]} for zone in "ab"]
    for replica, count in zip(replicas, counts, strict=True):
        if count:
            replica["num_microbatches"] = count
    error = refusal(problem, 4, 4, plan={"tp": 4, "replicas": replicas})
    assert error.findings[0].code == "wrong_sum"
    assert all(number in error.findings[0].message for number in numbers)


def test_a_plan_in_an_excluded_zone_is_refused(problem: Any) -> None:
    error = refusal(problem, 8, 8, plan={"tp": 2, "stages": HALVES}, constraints={"exclude_zones": ["b"]})
    assert error.findings[0].where == "constraints.exclude_zones"
    assert "b" in error.findings[0].message


def test_the_fastest_framework_that_can_express_it_is_taken(problem: Any) -> None:
    job = problem(8, 8, plan={"tp": 4, "stages": HALVES})
    assert best_written(job, framework_names()).framework in ("megatron", "torchtitan")


def test_where_no_framework_can_every_reason_is_told(problem: Any) -> None:
    job = problem(8, 8, plan={"tp": 4, "stages": HALVES})
    with pytest.raises(InfeasiblePlan) as caught:
        best_written(job, ("ddp", "horovod"))
    text = str(caught.value)
    assert "ddp" in text
    assert "horovod" in text
    assert "tp=4" in text
