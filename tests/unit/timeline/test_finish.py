"""Failures, checkpoints, data and money of a plan's whole training."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.core.plan import Plan
from crosszone.core.prediction import Costs, Prediction, Reliability
from crosszone.core.problem import Problem
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.finish import outlook
from crosszone.timeline.predict import predict_plan
from crosszone.timeline.threats import GPU_MTBF_SECONDS, plan_footprint

HOUR, DAY = 3600.0, 86400.0
DP = {"tp": 2, "pp": 1, "microbatch_size": 1}
PP = {"tp": 4, "pp": 4, "microbatch_size": 1}
TOKENS = {"train_tokens": "3T"}
Predicted = Callable[..., tuple[Plan, Prediction]]
Make = Callable[..., Problem]


def with_nodes(problem: Problem, **changes: Any) -> Problem:
    """The problem with every node group changed."""
    zones = tuple(
        replace(zone, node_groups=tuple(replace(group, **changes) for group in zone.node_groups))
        for zone in problem.cluster.zones
    )
    return replace(problem, cluster=replace(problem.cluster, zones=zones))


def with_links(problem: Problem, change: Callable[[ZoneLink], ZoneLink]) -> Problem:
    links = tuple(change(link) for link in problem.cluster.links)
    return replace(problem, cluster=replace(problem.cluster, links=links))


def with_work(problem: Problem, **changes: Any) -> Problem:
    return replace(problem, workload=replace(problem.workload, **changes))


def predict(problem: Problem) -> Prediction:
    plan = placed(problem)
    return predict_plan(problem, plan, framework_facts(plan.framework))


def reliability(problem: Problem) -> Reliability:
    found = predict(problem).reliability
    assert found is not None
    return found


def costs(problem: Problem) -> Costs:
    found = predict(problem).costs
    assert found is not None
    return found


def p50(problem: Problem) -> float:
    found = predict(problem).finish.p50_seconds
    assert found is not None
    return found


# Failures.


def test_gpus_fail_as_those_of_llama_3_and_that_is_said(job: Make) -> None:
    prediction = predict(job(DP, **TOKENS))
    assert prediction.reliability is not None
    assert prediction.reliability.mtbf_seconds == pytest.approx(GPU_MTBF_SECONDS / 16)
    assert pytest.approx(50_700 * HOUR, rel=1e-3) == GPU_MTBF_SECONDS
    assert sum("nodes[].mtbf" in line and "50,700 h" in line for line in prediction.assumed) == 1
    assert not any("mtbf" in line for line in prediction.warnings)


def test_a_written_mtbf_is_of_each_node_that_works(job: Make) -> None:
    # Four nodes work; of one zone, two.
    written = with_nodes(job(DP), mtbf_seconds=40 * DAY)
    assert reliability(written).mtbf_seconds == pytest.approx(10 * DAY)
    alone = with_nodes(job(DP, num_zones=1), mtbf_seconds=40 * DAY)
    assert reliability(alone).mtbf_seconds == pytest.approx(20 * DAY)
    assert not any("nodes[].mtbf" in line for line in predict(written).assumed)


def test_nodes_that_may_be_taken_away_leave_it_unknown_with_one_warning(job: Make) -> None:
    prediction = predict(with_nodes(job(DP, **TOKENS), is_preemptible=True))
    assert prediction.goodput_fraction is None
    assert (prediction.finish.p50_seconds, prediction.finish.p90_seconds) == (None, None)
    (warning,) = [line for line in prediction.warnings if "mtbf" in line]
    assert "a, b" in warning
    assert "Write `mtbf`" in warning
    known = predict(with_nodes(job(DP, **TOKENS), is_preemptible=True, mtbf_seconds=DAY))
    assert known.goodput_fraction is not None
    assert known.goodput_fraction < predict(job(DP, **TOKENS)).goodput_fraction  # type: ignore[operator]


def test_both_directions_and_a_shared_name_are_one_path(job: Make) -> None:
    problem = job(DP)
    nodes = 1 / reliability(problem).mtbf_seconds  # type: ignore[operator]

    def failing(link: ZoneLink) -> ZoneLink:
        return replace(link, mtbf_seconds=(10 if link.from_zone == "a" else 20) * DAY, shared="sea")

    rate = 1 / reliability(with_links(problem, failing)).mtbf_seconds  # type: ignore[operator]
    assert rate == pytest.approx(nodes + 1 / (10 * DAY))


def test_a_repair_adds_to_the_restarts_that_outages_cause(job: Make) -> None:
    problem = with_nodes(job(DP, **TOKENS), mtbf_seconds=40 * DAY)
    quick = with_links(problem, lambda link: replace(link, mtbf_seconds=10 * DAY))
    slow = with_links(problem, lambda link: replace(link, mtbf_seconds=10 * DAY, repair_seconds=4 * HOUR))
    # Half of the failures are outages.
    assert reliability(slow).restart_seconds - reliability(quick).restart_seconds == pytest.approx(2 * HOUR)
    assert any("links[].repair" in line for line in predict(quick).assumed)
    assert not any("links[].repair" in line for line in predict(slow).assumed)
    assert p50(slow) > p50(quick) > p50(problem)


@pytest.mark.parametrize(("repair", "availability"), [(DAY, 1 / 2), (30 * DAY, 1 / 31)])
def test_a_path_under_repair_does_not_fail_again(job: Make, repair: float, availability: float) -> None:
    """Up for a day, down for `repair`: what it does while it is up, over its availability."""
    problem = with_nodes(job(DP, **TOKENS), mtbf_seconds=1e4 * DAY)
    quick, slow = (
        predict(with_links(problem, lambda link: replace(link, mtbf_seconds=DAY, repair_seconds=each)))  # noqa: B023
        for each in (0.0, repair)
    )
    assert slow.goodput_fraction == pytest.approx(quick.goodput_fraction * availability, rel=0.01)  # type: ignore[operator]
    assert slow.finish.p50_seconds == pytest.approx(quick.finish.p50_seconds / availability, rel=0.1)  # type: ignore[operator]
    assert slow.finish.p90_seconds > slow.finish.p50_seconds  # type: ignore[operator]


def test_an_outage_that_hardly_comes_leaves_the_median(job: Make) -> None:
    problem = with_nodes(job(DP, train_tokens="10B"), mtbf_seconds=1e6 * DAY)
    rare = with_links(problem, lambda link: replace(link, mtbf_seconds=1e4 * DAY, repair_seconds=30 * DAY))
    assert p50(rare) == pytest.approx(p50(problem), rel=1e-3)


def test_failures_as_fast_as_restarts_never_end(job: Make) -> None:
    problem = job(DP, **TOKENS)
    found = predict(with_links(problem, lambda link: replace(link, mtbf_seconds=60.0)))
    assert found.goodput_fraction == 0.0
    assert found.finish.p50_seconds is None
    assert any("1 min" in line and "never ends" in line for line in found.warnings)


def test_outages_that_nobody_wrote_of_are_unknown_and_said(job: Make) -> None:
    across = predict(job(DP, **TOKENS))
    assert across.reliability is not None
    assert across.reliability.link_failure_probability is None
    assert any("no outages of zone links" in line for line in across.assumed)
    alone = predict(job(DP, num_zones=1, **TOKENS))
    assert alone.reliability is not None
    assert alone.reliability.link_failure_probability == 0.0
    assert not any("zone links" in line for line in alone.assumed)


@pytest.mark.parametrize("plan", [DP, PP], ids=["dp", "pp"])
def test_finish_is_in_order_and_above_the_steps(job: Make, plan: dict[str, Any]) -> None:
    prediction = predict(with_nodes(job(plan, **TOKENS), mtbf_seconds=2 * DAY))
    assert prediction.train_seconds is not None
    assert prediction.finish.p50_seconds is not None
    assert prediction.finish.p90_seconds is not None
    assert prediction.train_seconds < prediction.finish.p50_seconds < prediction.finish.p90_seconds
    assert prediction.reliability is not None
    assert prediction.reliability.wall_seconds is not None
    assert prediction.goodput_fraction == pytest.approx(prediction.train_seconds / prediction.reliability.wall_seconds)


def test_without_an_end_goodput_is_that_of_the_long_run(job: Make) -> None:
    problem = with_nodes(job(DP, **TOKENS), mtbf_seconds=2 * DAY)
    endless = predict(with_work(problem, train_tokens=None))
    assert endless.finish.p50_seconds is None
    assert endless.goodput_fraction == pytest.approx(predict(problem).goodput_fraction, rel=1e-3)


def test_more_failures_or_a_longer_restart_are_never_better(job: Make) -> None:
    problem = job(DP, **TOKENS)
    by_mtbf = [p50(with_nodes(problem, mtbf_seconds=mtbf * DAY)) for mtbf in (1000, 100, 10, 1, 0.1)]
    assert by_mtbf == sorted(by_mtbf)
    busy = with_nodes(problem, mtbf_seconds=5 * DAY)
    by_restart = [p50(with_work(busy, restart_seconds=restart * 60.0)) for restart in (1, 10, 60, 600)]
    assert by_restart == sorted(by_restart)


def test_what_never_ends_is_told_with_both_times(job: Make) -> None:
    prediction = predict(with_work(with_nodes(job(DP, **TOKENS), mtbf_seconds=60.0), restart_seconds=10 * DAY))
    assert prediction.goodput_fraction == 0.0
    assert prediction.finish.p50_seconds is None
    assert any("15 s" in line and "never ends" in line for line in prediction.warnings)


# Checkpoints.


def test_a_checkpoint_holds_weights_and_states_and_nodes_write_it_together(job: Make) -> None:
    problem = job(DP)
    found = reliability(problem)
    assert found.checkpoint_bytes == 14 * num_parameters(problem.model)
    assert found.storage_bytes == 2 * found.checkpoint_bytes
    # Without sharding each pair of GPUs holds a copy: one node writes it.
    assert found.checkpoint_write_seconds == pytest.approx(found.checkpoint_bytes / 0.65e9)
    sharded = reliability(job({**DP, "shard": "optimizer"}))
    assert sharded.checkpoint_write_seconds < found.checkpoint_write_seconds
    fast = with_work(problem, checkpoint=replace(problem.workload.checkpoint, node_bytes_per_second=1.3e9))
    assert reliability(fast).checkpoint_write_seconds == pytest.approx(found.checkpoint_write_seconds / 2)


def test_the_interval_is_daly_s_unless_written(job: Make) -> None:
    problem = job(DP, **TOKENS)
    found = reliability(problem)
    assert found.mtbf_seconds is not None
    young = math.sqrt(2 * found.checkpoint_seconds * found.mtbf_seconds)
    assert found.checkpoint_every_seconds == pytest.approx(young, rel=0.02)
    hourly = with_work(problem, checkpoint=replace(problem.workload.checkpoint, every_seconds=HOUR))
    assert reliability(hourly).checkpoint_every_seconds == HOUR
    assert p50(hourly) != p50(problem)


def test_asynchronous_checkpoints_stop_training_for_the_copy_alone(job: Make) -> None:
    problem = with_nodes(job(DP, **TOKENS), mtbf_seconds=DAY)
    behind = with_work(problem, checkpoint=replace(problem.workload.checkpoint, is_async=True))
    before, after = reliability(problem), reliability(behind)
    assert after.checkpoint_seconds < before.checkpoint_seconds == before.checkpoint_write_seconds
    # What was being written when the failure came is lost.
    lost = after.checkpoint_write_seconds - after.checkpoint_seconds
    assert after.restart_seconds == pytest.approx(before.restart_seconds + lost)
    assert p50(behind) < p50(problem)


def test_a_restart_is_the_written_one_and_reading_the_checkpoint(job: Make) -> None:
    found = reliability(with_work(job(DP), restart_seconds=120.0))
    assert found.restart_seconds == pytest.approx(120.0 + found.checkpoint_write_seconds)
    assert any("workload.restart: 10 min" in line for line in predict(job(DP)).assumed)


def test_evaluation_counts_into_the_finish(job: Make) -> None:
    problem = job(DP, train_tokens="3.2768B")  # 100,000 steps
    judged = job(DP, train_tokens="3.2768B", evaluation={"every": 1000, "duration": "2 min"})
    assert reliability(judged).evaluation_seconds == 100 * 120.0
    assert p50(judged) - p50(problem) >= 100 * 120.0
    assert predict(judged).train_seconds == predict(problem).train_seconds


# Data.


def test_zones_read_their_share_of_a_dataset_elsewhere(job: Make) -> None:
    # Half of the tokens are consumed in b: 1.5 T of 4 bytes, at 0.02 USD a GB.
    work = {**TOKENS, "dataset": {"size": "12 TB", "zone": "a"}}
    found = costs(job(DP, link={"egress_price": "0.02 USD/GB"}, **work))
    assert found.dataset_egress_dollars == pytest.approx(6e12 * 0.02e-9)
    nothing = costs(job(DP, link={"egress_price": "0.02 USD/GB"}, **TOKENS))
    assert nothing.dataset_egress_dollars == 0.0
    assert nothing.step_egress_dollars == found.step_egress_dollars
    assert costs(job(DP, **work)).dataset_egress_dollars is None


def test_what_is_read_is_kept_over_epochs(job: Make) -> None:
    work = {"dataset": {"tokens": "1B", "size": "4 GB", "zone": "a"}, "epochs": 10}
    found = costs(job(DP, link={"egress_price": "0.02 USD/GB"}, **work))
    assert found.dataset_egress_dollars == pytest.approx(4e9 * 0.02e-9)


def test_the_last_stage_reads_labels(job: Make) -> None:
    # One pipeline through both zones: b holds the last stage and reads every token.
    plan = {"tp": 4, "pp": 4, "microbatch_size": 1}
    found = costs(job(plan, link={"egress_price": "0.02 USD/GB"}, **TOKENS, dataset={"size": "12 TB", "zone": "a"}))
    assert found.dataset_egress_dollars == pytest.approx(12e12 * 0.02e-9)


def test_a_link_too_slow_for_the_data_stops_training(job: Make) -> None:
    work = {**TOKENS, "dataset": {"size": "1000000 TB", "zone": "a"}}
    prediction = predict(job(DP, **work))
    assert prediction.reliability is not None
    assert (prediction.reliability.data_wait_seconds or 0.0) > 0.0
    (warning,) = [line for line in prediction.warnings if line.startswith("workload.dataset")]
    assert "b reads data from a" in warning
    light = predict(job(DP, **{**TOKENS, "dataset": {"tokens": "3T", "zone": "b"}}))
    assert light.goodput_fraction is not None
    assert light.goodput_fraction > (prediction.goodput_fraction or 0.0)
    assert any("2 bytes a token" in line for line in light.assumed)


# Money.


def test_idle_gpus_and_overhead_are_on_the_bill(job: Make) -> None:
    problem = with_nodes(job({"tp": 2, "pp": 1, "dp": 4, "microbatch_size": 1}, num_zones=1, **TOKENS))
    priced = with_nodes(problem, dollars_per_gpu_second=2.0 / HOUR)
    half = placed(priced)
    prediction = predict_plan(priced, half, framework_facts(half.framework))
    found, known = prediction.costs, prediction.reliability
    assert found is not None
    assert known is not None
    assert prediction.train_seconds is not None
    assert found.working_gpu_dollars == pytest.approx(8 * 2.0 * prediction.train_seconds / HOUR)
    assert found.idle_gpu_dollars == 0.0
    overhead = 8 * 2.0 * ((known.wall_seconds or 0.0) - prediction.train_seconds) / HOUR
    assert found.overhead_dollars == pytest.approx(overhead)
    assert found.total_dollars == pytest.approx((prediction.gpu_dollars or 0.0) + overhead)
    assert found.storage_dollars is None


def test_storage_is_paid_for_as_long_as_the_training_takes(job: Make) -> None:
    checkpoint = {"monthly_price": "0.02 USD/GB", "keep": 10}
    problem = with_nodes(job(DP, num_zones=1, **TOKENS, checkpoint=checkpoint), dollars_per_gpu_second=0.0)
    known, found = reliability(problem), costs(problem)
    expected = 10 * known.checkpoint_bytes * 0.02e-9 * (known.wall_seconds or 0.0) / (30 * DAY)
    assert found.storage_dollars == pytest.approx(expected)
    assert found.total_dollars == pytest.approx(expected)


def test_a_footprint_counts_gpus_and_copies(job: Make) -> None:
    plan = placed(job({**DP, "shard": "optimizer", "dp_shard": 4}))
    found = plan_footprint(plan, [("b", "a"), ("a", "b")])
    assert found.num_gpus == (("a", 0, 8), ("b", 0, 8))
    assert found.pairs == {("a", "b")}
    assert found.num_copies == 2


def test_waiting_for_data_lowers_goodput_alike_with_and_without_an_end(job: Make) -> None:
    problem = job(DP, **TOKENS)
    footprint = plan_footprint(placed(problem), [])
    endless = with_work(problem, train_tokens=None)
    both = [outlook(each, footprint, 1.0, 0.5).goodput_fraction for each in (problem, endless)]
    assert both[0] == pytest.approx(both[1], rel=1e-3)
    assert both[0] == pytest.approx(2 / 3, rel=0.01)
