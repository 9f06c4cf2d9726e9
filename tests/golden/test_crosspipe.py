"""Slow-down over injected delay, as CrossPipe measured it, against the simulation."""

import functools
import tomllib
from pathlib import Path
from typing import Any

import pytest

from crosszone.core.schedules import traits
from crosszone.timeline.simulate import Boundary, Pipeline, makespan_seconds

TABLE = tomllib.loads((Path(__file__).parent / "crosspipe.toml").read_text(encoding="utf-8"))
STATIC, GENERATED = ("1f1b", "zb_h1", "zbv"), ("cross_ud", "cross_ud_sub", "cross_wave")
STATIC_TOLERANCE, GENERATED_TOLERANCE = 0.05, 0.12
"""Static orders are known and measured to about 1 %; the paper's generator is not, ours makes its own orders."""
WHOLE_SECONDS = 0.151 * 16 / 23
"""t_F + t_B of a stage, from 1F1B without delay: (m + p - 1) t over m = 16."""
WEIGHT_SHARE = 1.0 / 3.0
"""Of the backward: GEMMs have as many FLOP for weights as for inputs, but attention and tp belong to the latter. From
ZB-H1 without delay, (m t + (p - 1)(t - 2 t_W)) / m = 0.133 s: t_W = 0.021 s."""


def pipeline(schedule: str, case: dict[str, Any], transfer: float, latency: float) -> Pipeline:
    """The paper's pipeline. Its static schedules post a receive where they need it, the generated ones beforehand."""
    forward, stages = TABLE["forward_seconds"], TABLE["stages"]
    backward = WHOLE_SECONDS - forward
    far = Boundary(
        delay_seconds=latency * forward, transfer_seconds=transfer * forward, forward_link="a>b", backward_link="b>a"
    )
    hops = [Boundary(delay_seconds=0.0)] * (stages - 1)
    hops[stages // 2 - 1] = far
    return Pipeline(
        schedule=schedule,
        num_microbatches=case["microbatches"],
        num_virtual_stages=traits(schedule).least_virtual_stages,
        forward_seconds=(forward,) * stages,
        backward_seconds=(backward + case["recompute"] * forward,) * stages,
        weight_seconds=(backward * WEIGHT_SHARE,) * stages,
        boundaries=tuple(hops),
        most_in_flight=case["memory"] * stages,
        receives_early=schedule in GENERATED,
    )


@functools.cache
def errors(schedule: str) -> tuple[float, ...]:
    """Relative error of the slow-down of every measured cell of a schedule."""
    found = []
    for row in TABLE["rows"]:
        if row["schedule"] == schedule:
            case = TABLE["cases"][str(row["case"])]
            spans = [makespan_seconds(pipeline(schedule, case, *delay)) for delay in TABLE["delays"]]
            for span, seconds in zip(spans[1:], row["seconds"][1:], strict=True):
                found.append(span / spans[0] / (seconds / row["seconds"][0]) - 1.0)
    return tuple(found)


def mape(schedules: tuple[str, ...]) -> float:
    """Mean absolute relative error over all cells."""
    cells = [abs(error) for schedule in schedules for error in errors(schedule)]
    return sum(cells) / len(cells)


def test_the_table_is_whole() -> None:
    assert sum(len(row["seconds"]) for row in TABLE["rows"]) == 70
    assert {row["schedule"] for row in TABLE["rows"]} == {*STATIC, *GENERATED}


def test_without_delay_static_schedules_take_what_was_measured() -> None:
    for row in TABLE["rows"]:
        if row["schedule"] in STATIC:
            case = TABLE["cases"][str(row["case"])]
            span = makespan_seconds(pipeline(row["schedule"], case, 0.0, 0.0)) / case["microbatches"]
            assert span == pytest.approx(row["seconds"][0], rel=0.04), row


@pytest.mark.parametrize(("schedule", "tolerance"), [("1f1b", 0.02), ("zb_h1", 0.02), ("zbv", 0.09)])
def test_slow_down_of_a_static_schedule(schedule: str, tolerance: float) -> None:
    assert mape((schedule,)) < tolerance


def test_slow_down_of_static_schedules() -> None:
    assert mape(STATIC) < STATIC_TOLERANCE


def test_slow_down_of_generated_schedules() -> None:
    assert mape(GENERATED) < GENERATED_TOLERANCE


def test_receives_posted_beforehand_would_be_too_fast() -> None:
    # What the paper blames static schedules for: the delay of each receive shows. Early ones hide 20 % of ZB-V's step.
    row = next(row for row in TABLE["rows"] if row["schedule"] == "zbv")
    case, delay = TABLE["cases"][str(row["case"])], TABLE["delays"][3]
    late = pipeline("zbv", case, *delay)
    early = makespan_seconds(
        Pipeline(**{**{name: getattr(late, name) for name in late.__slots__}, "receives_early": True})
    )
    assert early < 0.8 * makespan_seconds(late)
