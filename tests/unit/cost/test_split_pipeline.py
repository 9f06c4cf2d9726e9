"""The closed forms of schedules with weight gradients apart, against the event simulation."""

import numpy as np
import pytest

from crosszone.core.plan import SCHEDULES
from crosszone.core.schedules import refusal, traits
from crosszone.cost.pipeline import SPLIT, split_pipeline_seconds
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds

STATIC = ("zb_h1", "zbv", "dualpipe")
PARTS = [(1.0, 1.0, 1.0), (1.0, 1.2, 0.8), (0.9, 1.1, 0.9), (1.0, 1.3, 1.0)]
"""(forward, backward of the input, weight gradient)"""


def pipeline(name: str, p: int, m: int, parts: tuple[float, float, float], *, far: Boundary | None = None) -> Pipeline:
    """Equal stages; the boundary in the middle may be a far one."""
    forward, backward, weight = parts
    hops = [Boundary(delay_seconds=0.0)] * (p - 1)
    if far is not None:
        hops[(p - 1) // 2] = far
    return Pipeline(
        schedule=name,
        num_microbatches=m,
        num_virtual_stages=traits(name).least_virtual_stages,
        forward_seconds=(forward,) * p,
        backward_seconds=(backward + weight,) * p,
        weight_seconds=(weight,) * p,
        boundaries=tuple(hops),
    )


def closed(shape: Pipeline) -> float:
    p, weights = len(shape.forward_seconds), shape.weight_seconds or (0.0,)
    hops = [hop.delay_seconds + hop.transfer_seconds for hop in shape.boundaries]
    ways = 2.0 if traits(shape.schedule).placement == "v" else 1.0
    return float(
        split_pipeline_seconds(
            schedule=np.array([SCHEDULES.index(shape.schedule)]),
            num_microbatches=shape.num_microbatches,
            pp=p,
            busiest_stage_seconds=shape.forward_seconds[0] + shape.backward_seconds[0],
            forward_seconds=shape.forward_seconds[0],
            weight_seconds=weights[0],
            slowest_boundary_seconds=max(hops, default=0.0),
            sum_boundary_seconds=sum(hops),
            transfer_seconds=ways * max((hop.transfer_seconds for hop in shape.boundaries), default=0.0),
            slowest_boundary=(p - 1) // 2,
        )[0]
    )


def test_every_schedule_has_a_closed_form() -> None:
    assert {*SPLIT, "gpipe", "1f1b", "interleaved_1f1b"} == set(SCHEDULES)


@pytest.mark.parametrize("name", STATIC)
@pytest.mark.parametrize("parts", PARTS)
def test_without_delay_static_schedules_are_their_closed_form(name: str, parts: tuple[float, float, float]) -> None:
    for p in (2, 4, 6, 8):
        for m in (2 * p, 3 * p + 2, 40):
            if not refusal(name, p, m):
                shape = pipeline(name, p, m, parts)
                assert closed(shape) == pytest.approx(makespan_seconds(shape), rel=1e-9), (p, m)


def test_zero_bubble_is_worth_what_the_paper_says() -> None:
    # Qi et al. 2023, table 2: (p - 1)(t_F + t_B - t_W) beside (p - 1)(t_F + t_B + t_W) of 1F1B.
    assert closed(pipeline("zb_h1", 4, 8, (1.0, 1.2, 0.8))) == pytest.approx(8 * 3.0 + 3 * 1.4)


def test_the_estimate_is_near_the_simulation_over_a_slow_boundary() -> None:
    errors: dict[str, list[float]] = {name: [] for name in SPLIT}
    for name in SPLIT:
        for p, m in ((4, 16), (8, 32)):
            for delay, transfer in ((0.5, 0.0), (2.0, 0.0), (6.0, 0.0), (0.2, 1.0), (0.2, 4.0)):
                far = Boundary(delay_seconds=delay, transfer_seconds=transfer, forward_link="a>b", backward_link="b>a")
                shape = pipeline(name, p, m, (1.0, 1.1, 0.9), far=far)
                errors[name].append(abs(closed(shape) / makespan_seconds(shape) - 1.0))
    means = {name: round(float(np.mean(found)), 3) for name, found in errors.items()}
    assert max(mean for name, mean in means.items() if name != "dualpipe") < 0.09, means
    assert max(map(max, errors.values())) < 0.4, errors


def test_columns_of_several_schedules_broadcast() -> None:
    codes = np.array([SCHEDULES.index(name) for name in SPLIT])
    rest = {"busiest_stage_seconds": 3.0, "forward_seconds": 1.0, "weight_seconds": 1.0, "transfer_seconds": 0.0}
    both = split_pipeline_seconds(
        schedule=codes, num_microbatches=np.full(len(codes), 16), pp=4, slowest_boundary_seconds=0.5,
        sum_boundary_seconds=0.5, slowest_boundary=1, **rest,
    )  # fmt: skip
    assert both.shape == codes.shape
    assert (both >= 16 * 3.0).all()
