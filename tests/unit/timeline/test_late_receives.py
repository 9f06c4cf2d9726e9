"""When receives are posted: which plans post them late, what the simulation makes of it, and the closed form."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.chain import chain_pipeline, chain_seconds
from crosszone.timeline.evaluate import Evaluation, evaluate
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.keys import keyed
from crosszone.timeline.rows import Tables
from crosszone.timeline.simulate import Pipeline, makespan_seconds
from crosszone.timeline.tabulate import tabulate

TITAN = {"framework": "torchtitan"}
PLAIN: dict[str, Any] = {"tp": 4, "pp": 4, "microbatch_size": 1, "shard": "none"}
INTERLEAVED = {**PLAIN, "num_virtual_stages": 2, "schedule": "interleaved_1f1b"}
FAR = {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}


def evaluated(problem: Problem) -> tuple[Inputs, Tables, Evaluation]:
    """The job's plan, one row per stage, timed."""
    plan = placed(problem)
    prepared = inputs(problem, (framework_facts(plan.framework),))
    tables = tabulate(prepared, plan)
    return prepared, tables, evaluate(prepared, tables, keyed(prepared, tables.plans, range(len(prepared.pools))))


def pipeline_of(problem: Problem) -> Pipeline:
    prepared, tables, evaluation = evaluated(problem)
    return chain_pipeline(prepared, tables, evaluation, 0)


@pytest.mark.parametrize(
    ("plan", "more", "early"),
    [
        (PLAIN, {}, False),
        ({**PLAIN, "schedule": "gpipe", "shard": "gradients"}, TITAN, False),
        ({**PLAIN, "shard": "gradients"}, TITAN, False),
        ({**PLAIN, "tp": 1, "pp": 8}, {"framework": "deepspeed"}, False),
        (INTERLEAVED, {}, True),
        ({**INTERLEAVED, "shard": "gradients"}, TITAN, True),
        ({**PLAIN, "pp": 2}, {"num_zones": 1}, True),
    ],
    ids=str,
)
def test_who_posts_receives_early(
    job: Callable[..., Problem], plan: dict[str, Any], more: dict[str, Any], early: bool
) -> None:
    """Across zones the framework's fact of the schedule; inside one everybody, as what messages cost was fitted so."""
    assert pipeline_of(job(plan, **more)).receives_early is early


def test_a_late_receive_makes_a_step_across_zones_longer(job: Callable[..., Problem]) -> None:
    late = pipeline_of(job({**PLAIN, "tp": 2, "pp": 8}, link=FAR, global_batch_size=24))
    assert makespan_seconds(late) > 1.05 * makespan_seconds(replace(late, receives_early=True))


def test_a_message_is_a_part_of_its_receivers_work(job: Callable[..., Problem]) -> None:
    """The late pipeline is the one without delays whose stages do what comes before their work, too."""
    late = pipeline_of(job({**PLAIN, "tp": 2, "pp": 8}, link=FAR, global_batch_size=24))
    there, back = ([sum(hop.way(is_forward=way)[:2]) for hop in late.boundaries] for way in (True, False))
    alike = replace(
        late,
        forward_seconds=tuple(map(sum, zip(late.forward_seconds, [0.0, *there], strict=True))),
        backward_seconds=tuple(map(sum, zip(late.backward_seconds, [*back, 0.0], strict=True))),
        boundaries=tuple(replace(hop, delay_seconds=0.0, transfer_seconds=0.0, backward_delay_seconds=None,
                                 backward_transfer_seconds=None) for hop in late.boundaries),
    )  # fmt: skip
    assert makespan_seconds(late) == pytest.approx(makespan_seconds(alike), rel=1e-9)


@pytest.mark.parametrize("global_batch_size", [8, 16, 64])
@pytest.mark.parametrize("link", [FAR, {"bandwidth": "1 Gbit/s", "rtt": "1 s"}, {"bandwidth": "100 Gbit/s"}], ids=str)
@pytest.mark.parametrize(
    ("plan", "error"),
    [
        (PLAIN, 0.06),
        ({**PLAIN, "tp": 2, "pp": 8}, 0.06),
        ({**PLAIN, "tp": 2, "pp": 8, "schedule": "gpipe"}, 1e-9),
    ],
    ids=str,
)
def test_the_closed_form_is_near_what_is_simulated(
    job: Callable[..., Problem], plan: dict[str, Any], error: float, link: dict[str, Any], global_batch_size: int
) -> None:
    more: dict[str, Any] = {"link": link, "global_batch_size": global_batch_size}
    if plan.get("schedule") == "gpipe":
        plan, more = {**plan, "shard": "gradients"}, {**more, **TITAN}
    prepared, tables, evaluation = evaluated(job(plan, **more))
    assert not chain_pipeline(prepared, tables, evaluation, 0).receives_early
    simulated = chain_seconds(prepared, tables, evaluation, range(len(tables.replicas)))
    assert float(evaluation.pipeline_seconds[0]) == pytest.approx(simulated, rel=error)


def test_fewer_microbatches_than_stages_drain_as_many_as_there_are(job: Callable[..., Problem]) -> None:
    problem = job({**PLAIN, "tp": 2, "pp": 8}, link={"bandwidth": "100 Mbit/s"}, global_batch_size=4)
    prepared, tables, evaluation = evaluated(problem)
    simulated = chain_seconds(prepared, tables, evaluation, range(len(tables.replicas)))
    assert float(evaluation.pipeline_seconds[0]) == pytest.approx(simulated, rel=0.1)
