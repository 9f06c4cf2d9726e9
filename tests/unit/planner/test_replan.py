"""The next plan of a training that runs: staying against moving, and what a move takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from crosszone import service, units
from crosszone.core.answer import RankedPlan
from crosszone.core.problem import Problem
from crosszone.core.replan import Replan
from crosszone.errors import SpecError
from crosszone.frameworks import framework_facts
from crosszone.planner.move import move_to
from crosszone.timeline.predict import predict_plan

TOKENS = 1e9


def job(speed: str = "10 Gbit/s", zones: str = "ab", model: str = "llama-3.2-1b", **extra: Any) -> Problem:
    nodes = [{"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 4, "price": "2 USD/h", "network": "100 Gbit/s"}]
    return service.read(
        {
            "model": model,
            "workload": {
                "sequence_length": 2048, "global_batch_size": 64, "precision": "bf16", "train_tokens": "10B",
                "restart": "5 min",
            },
            "cluster": {
                "zones": [{"name": name, "nodes": nodes} for name in zones],
                "default_link": {"bandwidth": speed, "rtt": "5 ms", "egress_price": "0.02 USD/GB"},
            },
            "framework": {"name": "megatron"},
            **extra,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Any:
    return service.plan(job("400 Gbit/s")).plans[0].plan


def after(problem: Problem, running: Any, **more: Any) -> Replan:
    return service.replan(problem, running, **{"remaining_tokens": TOKENS, **more})


def test_it_stays_where_nothing_has_changed(running: Any) -> None:
    found = after(job("400 Gbit/s"), running)
    assert found.choices[0].is_running
    assert found.choices[0].move.total_seconds == 0.0
    assert found.verdict.startswith("Stay")


def test_it_moves_out_of_a_link_that_has_become_slow(running: Any) -> None:
    assert len(running.zones) == 2
    found = after(job("50 Mbit/s"), running)
    best, stay = found.choices[0], next(one for one in found.choices if one.is_running)
    assert len(best.plan.zones) == 1
    assert best.finish_seconds < stay.finish_seconds
    assert best.move.restart_seconds >= 300.0
    assert best.finish_seconds > best.move.total_seconds
    # whose rest it is: that of the plan that runs
    assert f"; without it the rest lasts {units.format_seconds(stay.finish_seconds)}." in " ".join(best.reasons)


def test_it_does_not_move_for_the_last_few_steps(running: Any) -> None:
    step_tokens = 64 * 2048
    slow = job("1 Gbit/s")
    assert after(slow, running, remaining_tokens=3 * step_tokens).choices[0].is_running
    assert not after(slow, running).choices[0].is_running


def test_a_lost_zone_rules_the_running_plan_out(running: Any) -> None:
    gone = job("400 Gbit/s", constraints={"exclude_zones": ["b"]})
    found = after(gone, running, is_torn_off=True)
    assert "b is excluded." in found.impossible
    assert all(choice.plan.zones == ("a",) for choice in found.choices)
    assert all(choice.move.lost_seconds > 0.0 and choice.move.save_seconds == 0.0 for choice in found.choices)
    removed = after(job(zones="a"), running)
    assert removed.impossible
    assert removed.choices[0].plan.zones == ("a",)


def test_a_failure_costs_staying_too(running: Any) -> None:
    stay = next(one for one in after(job("400 Gbit/s"), running, is_torn_off=True).choices if one.is_running)
    assert stay.move.restart_seconds >= 300.0
    assert stay.move.lost_seconds > 0.0
    assert stay.move.transfer_bytes == 0.0


def test_a_zone_that_joins_gets_the_state_over_its_link() -> None:
    alone = service.plan(job(zones="a")).plans[0].plan
    problem = job("400 Gbit/s", "ab")
    longer = dataclasses.replace(problem, workload=dataclasses.replace(problem.workload, train_tokens=1e12))
    found = after(longer, alone, remaining_tokens=1e12)
    wide = next(one for one in found.choices if len(one.plan.zones) == 2)
    # bf16 weights, fp32 master weights and two moments of each parameter that the new zone will hold.
    placed = zip(wide.plan.stages, wide.plan.replicas[-1].zones, strict=True)
    layers = sum(stage.num_layers for stage, zone in placed if zone == "b")
    state = wide.prediction.num_parameters * (2 + 4 + 8)
    assert wide.move.transfer_bytes <= state
    assert 0 < layers <= 16
    assert wide.move.transfer_bytes >= state * layers / 16 / 2
    assert wide.move.egress_dollars == pytest.approx(wide.move.transfer_bytes * 0.02e-9)
    slow = next(one for one in after(job("1 Gbit/s", "ab"), alone).choices)
    assert slow.is_running


def test_money_decides_where_the_job_says_so(running: Any) -> None:
    cheap = job("400 Gbit/s", objective={"minimize": "cost"})
    dollars = [choice.dollars for choice in after(cheap, running).choices if not choice.is_running]
    assert dollars == sorted(dollars)


def test_tokens_must_be_known(running: Any) -> None:
    problem = job()
    unknown = dataclasses.replace(problem, workload=dataclasses.replace(problem.workload, train_tokens=None))
    with pytest.raises(SpecError, match="still to be trained"):
        service.replan(unknown, running)


@pytest.mark.parametrize(("uplink", "rate"), [(None, 2e9), (0.5e9, 0.5e9)])
def test_the_state_takes_as_long_as_nodes_and_uplinks_allow(running: Any, uplink: float | None, rate: float) -> None:
    # Two nodes of 1 GB/s each, or an uplink of half of one.
    cluster = job().cluster
    links = tuple(
        dataclasses.replace(link, bytes_per_second=None, node_bytes_per_second=1e9) for link in cluster.links
    )  # fmt: skip
    zones = tuple(dataclasses.replace(zone, uplink_bytes_per_second=uplink) for zone in cluster.zones)
    problem = dataclasses.replace(job(), cluster=dataclasses.replace(cluster, links=links, zones=zones))
    alone = service.plan(job(zones="a")).plans[0].plan
    prediction = predict_plan(problem, running, framework_facts(running.framework))
    move = move_to(problem, alone, RankedPlan(plan=running, prediction=prediction), None)
    assert move.transfer_bytes > 0.0
    assert move.transfer_seconds == pytest.approx(move.transfer_bytes / rate)


def test_lost_work_is_done_again_at_the_speed_of_each_plan(running: Any) -> None:
    found = after(job("400 Gbit/s"), running, is_torn_off=True).choices
    each = {choice.move.lost_seconds / choice.prediction.step_seconds for choice in found}
    assert max(each) == pytest.approx(min(each))


@pytest.mark.parametrize("tokens", [0.0, -5.0])
def test_something_must_remain(running: Any, tokens: float) -> None:
    with pytest.raises(SpecError, match="remain"):
        service.replan(job(), running, remaining_tokens=tokens)


def test_no_more_can_remain_than_the_job_trains(running: Any) -> None:
    with pytest.raises(SpecError, match="20B tokens remain, but the job trains 10B in all"):
        service.replan(job(), running, remaining_tokens=20e9)


def test_a_plan_of_another_model_is_no_running_plan(running: Any) -> None:
    other = job(model="qwen2.5-7b")
    with pytest.raises(SpecError) as raised:
        after(other, running)
    finding = raised.value.findings[0]
    assert f"the plan's stages hold 16 layers, {other.model.name} has 28." in finding.message
    assert "Give the job that the plan was made for" in finding.hint


def test_reasons_are_told_in_one_sentence(running: Any) -> None:
    smaller = job(zones="a")
    twice = dataclasses.replace(smaller, workload=dataclasses.replace(smaller.workload, global_batch_size=128))
    verdict = after(twice, running).verdict
    assert verdict.startswith("The running plan cannot go on: the plan uses ")
    assert (
        "which the cluster does not have; the plan's replicas consume 64 sequences a step, the job has 128. " in verdict
    )
    gone = after(job("400 Gbit/s", constraints={"exclude_zones": ["b"]}), running)
    assert gone.verdict.startswith("The running plan cannot go on: b is excluded. Move: ")


def test_lost_work_is_that_of_the_plan_that_ran(running: Any) -> None:
    problem = job("400 Gbit/s", constraints={"exclude_zones": ["b"]})
    before = predict_plan(job("400 Gbit/s"), running, framework_facts(running.framework))
    best = after(problem, running, is_torn_off=True).choices[0]
    assert before.reliability is not None
    half = (before.reliability.checkpoint_every_seconds or 0.0) / 2.0
    ratio = best.prediction.step_seconds / before.step_seconds
    assert best.move.lost_seconds == pytest.approx(half * ratio)
