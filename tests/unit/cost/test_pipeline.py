"""Closed forms of the pipeline: textbook cases by hand, and what they are worth against the simulation."""

import itertools

import numpy as np
import pytest

from crosszone.cost.pipeline import period_seconds, pipeline_seconds
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds

FORWARD, BACKWARD = 1.0, 2.0
STAGE = FORWARD + BACKWARD


def period(
    t: float = STAGE, c: float = 0.0, *, p: int = 4, v: int = 1, total: float | None = None, **more: float
) -> float:
    """The period with one slow boundary unless `total` says more."""
    rest = {"wrap_seconds": 0.0, "transfer_seconds": 0.0, **more}
    return float(
        period_seconds(
            busiest_stage_seconds=t,
            slowest_boundary_seconds=c,
            sum_boundary_seconds=c if total is None else total,
            num_virtual_stages=v,
            pp=p,
            **rest,
        )
    )


def closed(pipeline: Pipeline) -> float:
    """The closed form of a pipeline of equal stages, as the cost model takes it."""
    p, v = len(pipeline.forward_seconds), pipeline.num_virtual_stages
    hops = [hop.delay_seconds + hop.transfer_seconds for hop in pipeline.boundaries]
    line, wrap = hops[: p - 1], hops[-1] if v > 1 else 0.0
    stages = [sum(pair) for pair in zip(pipeline.forward_seconds, pipeline.backward_seconds, strict=True)]
    shared = 2 * v - 1 if v > 1 else 1
    slowest = 0.0 if pipeline.schedule == "gpipe" else max(line)
    return float(
        pipeline_seconds(
            num_microbatches=pipeline.num_microbatches,
            num_virtual_stages=v,
            pp=p,
            sum_stage_seconds=sum(stages),
            busiest_stage_seconds=max(stages),
            period=period_seconds(
                busiest_stage_seconds=max(stages),
                slowest_boundary_seconds=slowest,
                sum_boundary_seconds=sum(line),
                wrap_seconds=wrap,
                transfer_seconds=shared * max(hop.transfer_seconds for hop in pipeline.boundaries),
                num_virtual_stages=v,
                pp=p,
            ),
            slowest_boundary_seconds=slowest,
            sum_boundary_seconds=sum(line),
            wrap_seconds=wrap,
            transfer_seconds=shared * max(hop.transfer_seconds for hop in pipeline.boundaries),
            slowest_boundary=int(np.argmax(line)),
        )
    )


def equal_stages(
    name: str, p: int, m: int, v: int = 1, *, delay: float = 0.0, near: float = 0.0, transfer: float = 0.0
) -> Pipeline:
    """Equal stages in two zones: the slow boundary is in the middle, the wrap is as slow and shares the link."""
    hops = [Boundary(delay_seconds=near) for _ in range(p - 1)]
    far = {"delay_seconds": delay, "transfer_seconds": transfer}
    if p > 1:
        hops[(p - 1) // 2] = Boundary(**far, forward_link="a>b", backward_link="b>a")
    if v > 1:
        hops.append(Boundary(**far, forward_link="b>a", backward_link="a>b"))
    return Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=v,
        forward_seconds=(FORWARD,) * p,
        backward_seconds=(BACKWARD,) * p,
        boundaries=tuple(hops),
    )


def test_without_delay_a_stage_works_all_the_time() -> None:
    for p, v in itertools.product((1, 2, 3, 8), (1, 2, 4)):
        assert period(p=p, v=v) == STAGE


def test_1f1b_adds_the_delay_of_one_boundary() -> None:
    assert period(c=0.5) == 3.5
    assert period(c=30.0) == 33.0


def test_1f1b_over_equal_delays_is_bound_by_the_whole_line() -> None:
    # p*t + 2(p-1)c serve p microbatches: 3 + 2*3/4.
    assert period(c=1.0, total=3.0) == pytest.approx(4.5)


def test_interleaving_hides_half_a_chunk() -> None:
    chunk = STAGE / 2
    assert period(c=chunk / 2, v=2) == pytest.approx(STAGE)
    # (2 chunks of work + 2c) serve three chunks, v of which are a microbatch.
    assert period(c=4 * chunk, v=2) == pytest.approx(2 * (2 * chunk + 8 * chunk) / 3)


def test_a_slow_wrap_lengthens_the_loops_of_short_pipelines() -> None:
    for p in (2, 3):
        assert period(c=6.0, p=p, v=4, wrap_seconds=6.0) > period(c=6.0, p=p, v=4)
    assert period(c=6.0, p=8, v=4, wrap_seconds=6.0) == period(c=6.0, p=8, v=4)


def test_a_link_sends_one_message_at_a_time() -> None:
    assert period(transfer_seconds=10.0) == 10.0


def test_the_textbook_bubble() -> None:
    for name, p, m in (("gpipe", 4, 8), ("1f1b", 4, 8), ("1f1b", 8, 3), ("gpipe", 2, 5)):
        assert closed(equal_stages(name, p, m)) == pytest.approx((m + p - 1) * STAGE)
    for p, m, v in ((4, 8, 2), (2, 6, 5)):
        assert closed(equal_stages("interleaved_1f1b", p, m, v)) == pytest.approx((m + (p - 1) / v) * STAGE)


def test_one_stage_has_no_bubble() -> None:
    alone = pipeline_seconds(
        num_microbatches=7, num_virtual_stages=1, pp=1, sum_stage_seconds=STAGE, busiest_stage_seconds=STAGE,
        period=STAGE, slowest_boundary_seconds=0.0, sum_boundary_seconds=0.0, wrap_seconds=0.0, transfer_seconds=0.0,
        slowest_boundary=0,
    )  # fmt: skip
    assert float(alone) == 7 * STAGE


def test_columns_broadcast() -> None:
    rows = period_seconds(
        busiest_stage_seconds=np.array([3.0, 3.0]),
        slowest_boundary_seconds=np.array([0.0, 1.0]),
        sum_boundary_seconds=np.array([0.0, 1.0]),
        wrap_seconds=0.0,
        transfer_seconds=0.0,
        num_virtual_stages=np.array([1, 1]),
        pp=np.array([2, 2]),
    )
    assert rows.tolist() == [3.0, 4.0]


CASES = [
    (p, rounds * p, delay, near, transfer)
    for p in (2, 3, 4, 8)
    for rounds in (1, 2, 3, 8)
    for delay in (0.0, 0.2, 1.0, 4.0)
    for near in (0.0, 0.02)
    for transfer in (0.0, 0.3, 5.0)
]


@pytest.mark.parametrize("name", ["1f1b", "gpipe"])
def test_closed_form_of_one_slow_boundary_is_the_simulation(name: str) -> None:
    for p, m, delay, near, _ in CASES:
        pipeline = equal_stages(name, p, m, delay=delay * STAGE, near=near * STAGE)
        assert closed(pipeline) == pytest.approx(makespan_seconds(pipeline), rel=0.015), pipeline


def test_closed_form_of_1f1b_over_a_link() -> None:
    for p, m, delay, near, transfer in CASES:
        pipeline = equal_stages("1f1b", p, m, delay=delay * STAGE, near=near * STAGE, transfer=transfer * STAGE)
        assert closed(pipeline) == pytest.approx(makespan_seconds(pipeline), rel=0.015), pipeline


@pytest.mark.parametrize("v", [2, 4])
def test_closed_form_of_interleaving_is_near_the_simulation(v: int) -> None:
    errors = []
    for p, m, delay, near, transfer in CASES:
        chunk = STAGE / v
        pipeline = equal_stages(
            "interleaved_1f1b", p, m, v, delay=delay * chunk, near=near * chunk, transfer=transfer * chunk
        )
        errors.append(abs(closed(pipeline) / makespan_seconds(pipeline) - 1.0))
    assert max(errors) < 0.2
    assert np.mean(errors) < 0.03


def test_more_delay_is_never_faster() -> None:
    for name, v in (("1f1b", 1), ("interleaved_1f1b", 2)):
        for p in (2, 3, 4, 8):
            spans = [closed(equal_stages(name, p, 3 * p, v, delay=delay)) for delay in np.linspace(0.0, 10.0, 41)]
            assert all(after >= before - 1e-9 for before, after in itertools.pairwise(spans))
