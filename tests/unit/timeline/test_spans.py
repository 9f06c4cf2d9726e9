"""The timeline of one step: it ends with the prediction, moves its bytes, holds its memory, and opens in a viewer."""

import dataclasses
import itertools
import json
from collections import defaultdict

import pytest

from crosszone.core.plan import SCHEDULES, Sync
from crosszone.core.problem import Problem
from crosszone.core.schedules import traits
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.replay import IN_PIPELINE
from crosszone.timeline.spans import StepTimeline, step_timeline
from crosszone.timeline.use import stage_activity
from crosszone.trace.perfetto import perfetto_text
from crosszone.trace.span import Span
from nested_spans import is_nested

WORK = ("forward", "backward", "weight_gradient")
PLANS = {
    "pp over zones": {"tp": 4, "pp": 2, "dp": 2},
    "pp 4 over zones, sharded": {"tp": 2, "pp": 4, "dp": 2, "shard": "optimizer"},
    "dp over zones": {"tp": 4, "pp": 1, "dp": 4},
    "dp over zones, sharded": {"tp": 2, "pp": 1, "dp": 8, "shard": "optimizer"},
    "interleaved": {"tp": 2, "pp": 4, "dp": 2, "schedule": "interleaved_1f1b", "num_virtual_stages": 2},
    "recomputed": {"tp": 4, "pp": 2, "dp": 2, "recompute": "full"},
}


def timeline_of(problem: Problem) -> StepTimeline:
    plan = placed(problem)
    return step_timeline(problem, plan, framework_facts(plan.framework))


@pytest.fixture(params=PLANS)
def timeline(request, job) -> StepTimeline:
    return timeline_of(job(PLANS[request.param]))


def of_category(timeline: StepTimeline, *names: str) -> list[Span]:
    return [span for span in timeline.trace.spans if span.category in names]


def term(timeline: StepTimeline, *names: str) -> float:
    return sum(each.exposed_seconds for each in timeline.prediction.terms if each.name in names)


def test_the_last_span_ends_with_the_step(timeline) -> None:
    step = timeline.prediction.step_seconds
    assert timeline.trace.end_seconds == pytest.approx(step, rel=1e-9)
    assert timeline.simulation.step_seconds == step
    assert min(span.start_seconds for span in timeline.trace.spans) >= 0.0


def test_the_last_backward_ends_with_the_pipeline(timeline) -> None:
    last = max(span.end_seconds for span in of_category(timeline, *WORK))
    assert last == pytest.approx(timeline.simulation.pipeline_seconds, rel=1e-9)
    after = timeline.prediction.step_seconds - timeline.simulation.pipeline_seconds
    outside = [each.name for each in timeline.prediction.terms if each.name not in IN_PIPELINE]
    assert after == pytest.approx(term(timeline, *outside), abs=1e-12)


def test_forwards_and_backwards_do_what_the_model_asks_for(timeline) -> None:
    plan, prediction = timeline.plan, timeline.prediction
    replicas = {use.replica: use.num_replicas for use in timeline.simulation.stages}
    done = sum(
        dict(span.args)["model_flop"] * replicas[span.track.replica] * plan.tp * plan.cp
        for span in of_category(timeline, *WORK)
    )
    rate = prediction.model_flop_per_second_per_gpu
    assert done == pytest.approx(rate * prediction.step_seconds * plan.world_size, rel=1e-9)


def test_spans_on_a_link_move_what_the_prediction_says(timeline) -> None:
    moved: dict[tuple[str, str | None], float] = defaultdict(float)
    for span in timeline.trace.spans:
        if span.track.to_zone is not None:
            moved[span.track.zone, span.track.to_zone] += span.moved_bytes
    predicted = {(link.from_zone, link.to_zone): link.step_bytes for link in timeline.prediction.links}
    assert predicted
    assert moved == pytest.approx(predicted, rel=1e-12)
    assert {(use.from_zone, use.to_zone): use.step_bytes for use in timeline.simulation.links} == pytest.approx(moved)


def test_one_zone_moves_nothing_between_zones(job) -> None:
    timeline = timeline_of(job({"tp": 2, "pp": 2, "dp": 2}, num_zones=1))
    assert not [span for span in timeline.trace.spans if span.track.to_zone is not None]
    assert timeline.simulation.links == ()


def test_slices_nest_on_every_track(timeline) -> None:
    assert is_nested(timeline.trace.spans)
    by_track = defaultdict(list)
    for span in timeline.trace.spans:
        if not span.is_part:
            by_track[span.track].append(span)
    for spans in by_track.values():
        spans.sort(key=lambda span: span.start_seconds)
        assert all(one.end_seconds <= two.start_seconds for one, two in itertools.pairwise(spans))


def test_parts_fill_their_action(timeline) -> None:
    work = of_category(timeline, "forward", "backward")
    parts = [span for span in timeline.trace.spans if span.is_part]
    assert sum(span.duration_seconds for span in parts) == pytest.approx(
        sum(span.duration_seconds for span in work), rel=1e-9
    )
    assert {"compute"} < {span.category for span in parts}


def test_parts_are_the_terms_of_the_busiest_stage(job) -> None:
    timeline = timeline_of(job(PLANS["recomputed"]))
    busiest = max(timeline.simulation.stages, key=lambda use: use.busy_seconds)
    seconds: dict[str, float] = defaultdict(float)
    for span in timeline.trace.spans:
        if span.is_part and span.track.stage == busiest.stage:
            seconds[span.category] += span.duration_seconds
    assert seconds["tensor_parallel"] <= term(timeline, "tensor_parallel") * (1 + 1e-9)
    assert seconds["embedding_head_loss"] == pytest.approx(term(timeline, "embedding_head_loss"), rel=1e-9)
    compute = ("matrix_multiply", "attention", "memory_bound", "kernel_launch")
    assert seconds["compute"] == pytest.approx(term(timeline, *compute), rel=1e-9)
    again = term(timeline, "recompute", "tensor_parallel") - seconds["tensor_parallel"]
    assert seconds["recompute"] == pytest.approx(again, rel=1e-9)  # with the communication that it repeats


def test_every_microbatch_is_worked_on_by_every_stage(timeline) -> None:
    m, v = timeline.plan.replicas[0].num_microbatches, timeline.plan.num_virtual_stages
    assert len(of_category(timeline, "forward")) == len(timeline.simulation.stages) * m * v
    seen = {(s.track.replica, s.track.stage, s.args, s.category) for s in of_category(timeline, "forward", "backward")}
    assert len(seen) == 2 * len(timeline.simulation.stages) * m * v


def test_busy_and_idle_are_the_terms(timeline) -> None:
    """Of the busiest stage: what terms call work is busy, what they call bubble and delay is idle."""
    busiest = max(timeline.simulation.stages, key=lambda use: use.busy_seconds)
    waits = ("pipeline_bubble", "pipeline_send", "zone_pipeline_send")
    assert busiest.idle_seconds == pytest.approx(term(timeline, *waits), abs=1e-9)
    assert busiest.busy_seconds == pytest.approx(term(timeline, *(IN_PIPELINE - set(waits))), rel=1e-9)
    for use in timeline.simulation.stages:
        total = use.busy_seconds + use.idle_seconds + use.agreement_seconds + use.optimizer_seconds
        assert total == pytest.approx(timeline.prediction.step_seconds, rel=1e-9)


def test_memory_peaks_where_the_prediction_says(timeline) -> None:
    predicted = {(stage.stage, stage.zone): stage.total_bytes for stage in timeline.prediction.memory.stages}
    for use in timeline.simulation.stages:
        assert use.peak_bytes == pytest.approx(predicted[use.stage, use.zone], rel=1e-9)
    for counter in timeline.trace.counters:
        times = [seconds for seconds, _ in counter.samples]
        assert times == sorted(times)
        assert min(value for _, value in counter.samples) >= 0.0
        if counter.name == "memory_bytes":
            least = min(value for _, value in counter.samples)
            assert counter.samples[-1][1] == pytest.approx(least, rel=1e-9), "all is freed"


def test_a_link_is_never_faster_than_it_is(timeline) -> None:
    for counter in timeline.trace.counters:
        if counter.name == "bytes_per_second":
            assert counter.samples[-1][1] == 0.0
            assert counter.peak > 0.0
    for span in timeline.trace.spans:
        if span.category == "zone_pipeline_send":
            assert span.moved_bytes / span.duration_seconds <= 1.25e8 * (1 + 1e-6)


def test_a_message_leaves_after_it_is_made_and_is_used_after_it_arrives(timeline) -> None:
    spans = timeline.trace.spans
    crossing = [span for span in spans if span.category in ("pipeline_send", "zone_pipeline_send")]
    assert len(timeline.trace.flows) == 2 * len(crossing)
    for flow in timeline.trace.flows:
        source, target = spans[flow.source], spans[flow.target]
        assert source.end_seconds <= target.start_seconds + 1e-9
        assert dict(source.args)["microbatch"] == dict(target.args)["microbatch"]


def test_latency_lies_between_a_zone_link_and_what_waits_for_it(job) -> None:
    timeline = timeline_of(job(PLANS["pp over zones"], link={"rtt": "200 ms"}))
    spans = timeline.trace.spans
    arrivals = [flow for flow in timeline.trace.flows if spans[flow.source].category == "zone_pipeline_send"]
    waits = [spans[flow.target].start_seconds - spans[flow.source].end_seconds for flow in arrivals]
    assert min(waits) == pytest.approx(0.1, rel=1e-6)


def test_the_exchange_between_zones_ends_before_the_update(job) -> None:
    timeline = timeline_of(job(PLANS["dp over zones"]))
    exchanges = [span for span in timeline.trace.spans if span.track.stream == "dp"]
    assert {(span.track.zone, span.track.to_zone) for span in exchanges} == {("a", "b"), ("b", "a")}
    (start,) = {span.start_seconds for span in of_category(timeline, "optimizer")}
    assert all(span.end_seconds <= start + 1e-12 for span in exchanges)
    (link,) = (link for link in timeline.prediction.links if link.from_zone == "a")
    (there,) = (span for span in exchanges if span.track.zone == "a")
    assert there.duration_seconds == pytest.approx(link.groups[0].seconds)


def test_a_tied_table_is_agreed_on_at_both_ends(job) -> None:
    problem = job(PLANS["pp 4 over zones, sharded"])
    tied = timeline_of(_tied(problem))
    stages = {span.track.stage for span in of_category(tied, "embedding_agreement") if span.track.to_zone is None}
    assert stages == {0, 3}
    assert [span for span in tied.trace.spans if span.track.stream == "embedding"]


def test_rare_agreement_is_drawn_as_its_share(job) -> None:
    problem = job(PLANS["dp over zones"])
    plan = dataclasses.replace(placed(problem), sync=Sync(method="diloco", every=50))
    timeline = step_timeline(problem, plan, framework_facts(plan.framework))
    test_spans_on_a_link_move_what_the_prediction_says(timeline)
    assert any("every 50 steps" in note for note in timeline.simulation.notes)
    always = timeline_of(problem)
    assert timeline.simulation.links[0].step_bytes < always.simulation.links[0].step_bytes / 20
    assert not any("every" in note for note in always.simulation.notes)


def test_late_messages_come_before_the_first_forward(job) -> None:
    problem = job(PLANS["pp over zones"])
    plan = placed(problem)
    late = dataclasses.replace(framework_facts("megatron"), late_message_tp=1, late_message_seconds=1e-3)
    timeline = step_timeline(problem, plan, late)
    (end,) = {span.end_seconds for span in of_category(timeline, "late")}
    assert end == pytest.approx(min(span.start_seconds for span in of_category(timeline, "forward")))
    assert end > 0.0
    test_the_last_span_ends_with_the_step(timeline)
    test_slices_nest_on_every_track(timeline)


def test_replicas_in_other_zones_are_shown_apart(job) -> None:
    timeline = timeline_of(job(PLANS["dp over zones"]))
    assert {(use.replica, use.zone, use.num_replicas) for use in timeline.simulation.stages} == {
        (0, "a", 2),
        (1, "b", 2),
    }
    assert any("one replica of each group" in note for note in timeline.simulation.notes)
    labels = [name for _, name in timeline.trace.labels]
    assert labels[0].startswith("replica group 0, stage 0, a: 1 of 4 a100-sxm4-80gb, 1 of 2 replicas")


def test_the_file_is_one_that_viewers_read(timeline) -> None:
    value = json.loads("".join(perfetto_text(timeline.trace)))
    slices = [event for event in value["traceEvents"] if event["ph"] == "X"]
    assert len(slices) == len(timeline.trace.spans) == timeline.simulation.num_spans
    assert max(event["ts"] + event["dur"] for event in slices) == pytest.approx(
        1e6 * timeline.prediction.step_seconds, abs=0.25
    )
    assert value["otherData"]["fingerprint"] == timeline.prediction.fingerprint


def test_the_same_plan_gives_the_same_timeline(job) -> None:
    one, two = (timeline_of(job(PLANS["interleaved"])) for _ in range(2))
    assert one == two


def test_the_chart_has_a_line_per_stage(timeline) -> None:
    chart = stage_activity(timeline.trace, timeline.simulation, num_cells=400)
    assert set(chart) == {(use.replica, use.stage) for use in timeline.simulation.stages}
    for cells in chart.values():
        assert len(cells) == 400
        assert {"forward", "backward", "agreement"} & set(cells)


def test_the_chart_tells_waiting_in_the_pipeline_from_agreeing(job) -> None:
    timeline = timeline_of(job(PLANS["dp over zones"]))
    (cells,) = set(stage_activity(timeline.trace, timeline.simulation, num_cells=50).values())
    share = timeline.simulation.stages[0].agreement_seconds / timeline.simulation.step_seconds
    assert cells.count("agreement") == pytest.approx(50 * share, abs=1.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_is_drawn_by_the_same_laws(job, schedule) -> None:
    """Whether or not a framework runs it."""
    plan = placed(job({"tp": 2, "pp": 4, "dp": 2}))
    plan = dataclasses.replace(plan, schedule=schedule, num_virtual_stages=traits(schedule).least_virtual_stages)
    timeline = step_timeline(job({"tp": 2, "pp": 4, "dp": 2}), plan, framework_facts(plan.framework))
    test_the_last_span_ends_with_the_step(timeline)
    test_forwards_and_backwards_do_what_the_model_asks_for(timeline)
    test_spans_on_a_link_move_what_the_prediction_says(timeline)
    test_slices_nest_on_every_track(timeline)
    test_a_message_leaves_after_it_is_made_and_is_used_after_it_arrives(timeline)
    predicted = {stage.stage: stage.total_bytes for stage in timeline.prediction.memory.stages}
    assert all(use.peak_bytes <= predicted[use.stage] * (1 + 1e-9) for use in timeline.simulation.stages)


def _tied(problem: Problem) -> Problem:
    return dataclasses.replace(problem, model=dataclasses.replace(problem.model, tied_embeddings=True))
