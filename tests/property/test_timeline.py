"""The laws of a step's timeline on drawn plans: it ends with the prediction, moves its bytes, holds its memory."""

import dataclasses
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.plan import SCHEDULES, Sync
from crosszone.core.schedules import refusal, traits
from crosszone.errors import CrossZoneError
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.spans import step_timeline
from nested_spans import is_nested

SYNCS = (
    Sync(),
    Sync(method="flat"),
    Sync(method="delayed", num_delay_steps=1),
    Sync(method="local_sgd", every=8),
    Sync(method="diloco", every=50),
    Sync(method="streaming_diloco", every=20, num_fragments=4, num_delay_steps=2),
    Sync(codecs=(("gradients", "int8_block"),)),
    Sync(codecs=(("activations", "int8_block"),)),
    Sync(algorithm="tree"),
)


@st.composite
def cases(draw):
    zones = draw(st.sampled_from([(8,), (8, 8), ((2, 4), (2, 4)), (8, 8, 8), (4, 8)]))
    pp = draw(st.sampled_from([1, 2, 4]))
    return {
        "zones": zones,
        "plan": {"tp": draw(st.sampled_from([1, 2, 4])), "pp": pp, "microbatch_size": draw(st.sampled_from([1, 2]))}
        | draw(st.sampled_from([{}, {"shard": "optimizer"}, {"shard": "parameters"}, {"recompute": "full"}])),
        "framework": draw(st.sampled_from(["megatron", "torchtitan"])),
        "bandwidth": draw(st.sampled_from(["100 Mbit/s", "10 Gbit/s"])),
        "rtt": draw(st.sampled_from(["1 ms", "80 ms"])),
        "sequences": draw(st.sampled_from([48, 96])),
        "tied": draw(st.booleans()),
        "schedule": draw(st.sampled_from(SCHEDULES)) if pp > 1 else "1f1b",
        "sync": draw(st.sampled_from(SYNCS)),
        "overlap_fraction": draw(st.sampled_from([None, None, 0.5])),
    }


def changed(plan, case):
    """The plan with a schedule and a way to agree that no framework need run; as it is where its shape is refused."""
    name, m = case["schedule"], min(replica.num_microbatches for replica in plan.replicas)
    most = max(replica.num_microbatches for replica in plan.replicas)
    plan = dataclasses.replace(plan, sync=case["sync"], overlap_fraction=case["overlap_fraction"])
    if any(refusal(name, plan.pp, count) for count in (m, most)) or (
        traits(name).least_virtual_stages > 1 and m % plan.pp
    ):
        return plan
    return dataclasses.replace(plan, schedule=name, num_virtual_stages=traits(name).least_virtual_stages)


@settings(max_examples=60)
@given(case=cases())
def test_a_drawn_step_keeps_the_laws(problem, case) -> None:
    try:
        made = problem(
            case["zones"],
            case["plan"],
            bandwidth=case["bandwidth"],
            rtt=case["rtt"],
            sequences=case["sequences"],
            framework=case["framework"],
            model={"tied_embeddings": case["tied"]},
        )
        plan = changed(placed(made), case)
    except CrossZoneError:
        return
    timeline = step_timeline(made, plan, framework_facts(plan.framework))
    prediction, trace = timeline.prediction, timeline.trace
    assert trace.end_seconds == pytest.approx(prediction.step_seconds, rel=1e-9)
    assert all(0.0 <= span.start_seconds <= span.end_seconds for span in trace.spans)
    assert is_nested(trace.spans)
    moved: dict[tuple[str, str | None], float] = defaultdict(float)
    for span in trace.spans:
        if span.track.to_zone is not None:
            moved[span.track.zone, span.track.to_zone] += span.moved_bytes
    assert moved == pytest.approx({(one.from_zone, one.to_zone): one.step_bytes for one in prediction.links}, rel=1e-9)
    peak = max(stage.total_bytes for stage in prediction.memory.stages)
    assert max(use.peak_bytes for use in timeline.simulation.stages) <= peak * (1 + 1e-9)
    for use in timeline.simulation.stages:
        parts = (use.busy_seconds, use.idle_seconds, use.agreement_seconds, use.optimizer_seconds)
        assert min(parts) >= 0.0
        assert sum(parts) == pytest.approx(prediction.step_seconds, rel=1e-9)
    for flow in trace.flows:
        assert trace.spans[flow.source].end_seconds <= trace.spans[flow.target].start_seconds + 1e-9 * trace.end_seconds
