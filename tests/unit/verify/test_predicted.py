"""Many rows at once are each row alone: the tables, the simulated pipeline and the memory of `predict_plan`."""

import pytest

from crosszone.timeline.predict import predict_plan
from crosszone.verify import predicted
from crosszone.verify.case import case_of
from crosszone.verify.predicted import Forecast, forecasts

VARIANTS = (
    {},
    {"micro_batch": "4"},
    {"pp": "4", "dp": "8"},
    {"pp": "4", "vpp": "2", "dp": "8"},
    {"pp": "5", "tp": "1", "dp": "8", "n_gpus": "40", "layers": "42"},
    {"tp": "1", "dp": "256", "zero_stage": "3", "micro_batch": "1", "framework": "PyTorch FSDP"},
    {"gpu": "H100-SXM5-80GB", "precision": "fp8", "flash_attention": "yes", "recompute": "selective"},
    {"moe_experts": "8", "ep": "8", "zero_stage": "1"},
    {"n_gpus": "8", "dp": "1", "global_batch": "16"},
)


def test_each_row_is_predicted_as_if_alone(make_row) -> None:
    cases = [case_of(make_row(**cells)) for cells in VARIANTS]
    for case, forecast in zip(cases, forecasts(cases), strict=True):
        alone = predict_plan(case.problem, case.plan, case.framework)
        assert forecast.step_seconds == pytest.approx(alone.step_seconds, rel=1e-9)
        assert max(forecast.total_bytes) == pytest.approx(alone.memory.peak_bytes, rel=1e-9)
        assert forecast.fits == alone.memory.fits


def test_the_order_of_rows_does_not_matter(make_row) -> None:
    cases = [case_of(make_row(**cells)) for cells in VARIANTS]
    assert forecasts(cases) == forecasts(cases[::-1])[::-1]


def test_every_row_is_reported_once(make_row) -> None:
    done: list[int] = []
    forecasts([case_of(make_row(**cells)) for cells in VARIANTS], done.append)
    assert sum(done) == len(VARIANTS)
    assert forecasts([]) == []


def test_rows_that_share_all_but_batch_and_nodes_are_one_table(make_row, monkeypatch) -> None:
    calls = []
    original = predicted.evaluate
    monkeypatch.setattr(predicted, "evaluate", lambda *arguments: calls.append(1) or original(*arguments))
    forecasts([case_of(make_row(n_gpus=str(8 * dp), dp=str(dp), global_batch=str(8 * dp))) for dp in (1, 2, 4, 64)])
    assert len(calls) == 1


def test_very_long_pipelines_take_the_closed_form(make_row, monkeypatch) -> None:
    case = case_of(make_row(pp="4", dp="8"))
    (simulated,) = forecasts([case])
    monkeypatch.setattr(predicted, "MAX_EVENTS", 0)
    (closed,) = forecasts([case])
    assert closed.step_seconds == pytest.approx(simulated.step_seconds, rel=0.1)


FORECAST = Forecast(
    step_seconds=1.0,
    total_bytes=(12.5, 11.5),
    allocated_bytes=(10.0, 9.0),
    reserved_bytes=(11.0, 10.0),
    device_bytes=(13.0, 12.0),
    fits=True,
)


@pytest.mark.parametrize(
    ("kind", "scope", "peak"),
    [
        ("torch max_memory_allocated (mem-max-allocated-bytes)", "", 10.0),
        ("torch max_memory_allocated", "rank that logs (last rank); not necessarily the max", 9.0),
        ("peak reserved (torchtitan logs max_reserved_gib)", "max over all GPUs/PP ranks", 11.0),
        ("allocated or reserved (not said)", "one rank (which is not said)", 11.0),
        ("max reserved", "first rank", 11.0),
        ("nvidia-smi total used (incl. CUDA context + allocator cache)", "max", 13.0),
        ("device total incl. context+reserved", "", 13.0),
        ("", "", 13.0),
    ],
)
def test_memory_is_counted_as_the_tool_counts_it(kind, scope, peak) -> None:
    assert FORECAST.peak_bytes(kind=kind, scope=scope) == peak


def test_kinds_of_memory_nest(make_row) -> None:
    (forecast,) = forecasts([case_of(make_row())])
    assert forecast.allocated_bytes[0] < forecast.reserved_bytes[0] < forecast.device_bytes[0]
    # What a plan needs is more than its tensors and less than what tools show while the allocator may keep blocks.
    assert forecast.allocated_bytes[0] < forecast.total_bytes[0] < forecast.device_bytes[0]


def test_a_forecast_without_a_number_is_not_finite(make_row) -> None:
    import dataclasses

    assert FORECAST.is_finite
    assert not dataclasses.replace(FORECAST, step_seconds=float("nan")).is_finite
    assert not dataclasses.replace(FORECAST, total_bytes=(float("inf"),)).is_finite
