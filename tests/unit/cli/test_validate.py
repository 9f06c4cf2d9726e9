"""What `validate` writes on the screen, from a validation made by hand."""

import dataclasses

import pytest

from crosszone import service
from crosszone.core.validation import (
    Confusion,
    QuantityScores,
    Score,
    SkippedRow,
    ValidatedRow,
    Validation,
)

SCORE = Score(
    num_rows=3, mape=0.12, median_ape=0.1, bias=-0.05, null_model_mape=0.28, regret=0.02, num_groups=1,
    balanced_accuracy=None, confusion=None,
)  # fmt: skip
ROW = ValidatedRow(
    id="sc21_18b", source="sc21", quantity="step_seconds", unit="s", measured=10.0, predicted=12.0, relative_error=0.2,
    assumed=(), column="iter_time_s", quality="A", is_counted=True, gpu="a100-sxm4-80gb", framework="megatron",
    family="gpt", group="x", null_model_seconds=9.0,
)  # fmt: skip


def scores(score: Score) -> QuantityScores:
    return QuantityScores(
        total=score, source_mape=0.15, by_source={"sc21": score}, by_gpu={"a100-sxm4-80gb": score},
        by_framework={"megatron": score}, by_family={"gpt": score},
    )  # fmt: skip


VALIDATION = Validation(
    rows=(ROW, dataclasses.replace(ROW, id="apart", is_counted=False)),
    skipped=tuple(SkippedRow(id=f"s_{n}", reason=f"tp*pp*cp = {n} does not divide n_gpus = 100.") for n in (3, 7, 8)),
    quantities={"step_seconds": scores(SCORE)},
    num_table_rows=5,
)
VERDICTS = dataclasses.replace(
    SCORE, mape=None, median_ape=None, bias=None, null_model_mape=None, regret=None, num_groups=0,
    balanced_accuracy=0.9, confusion=Confusion(ran_fits=7, ran_does_not_fit=1, failed_fits=2, failed_does_not_fit=8),
)  # fmt: skip


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Path of a table whose validation is the one made by hand."""

    def prepare(validation: Validation = VALIDATION) -> str:
        monkeypatch.setattr(service, "validate", lambda path, **options: validation)
        return str(tmp_path / "runs.csv")

    return prepare


def test_errors_by_source_gpu_framework_and_family(run, table) -> None:
    out = run("validate", table()).out
    assert "15 % mean error over sources, 12 % over rows; rows: 3, sources: 1" in out
    for name in ("sc21", "a100-sxm4-80gb", "megatron", "gpt"):
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
        assert line.split()[1:] == ["3", "12", "%", "10", "%", "-5", "%", "28", "%", "2", "%", "(1)"]


def test_the_worst_rows_are_those_that_count(run, table) -> None:
    out = run("validate", table()).out
    assert "sc21_18b" in out
    assert "+20 %" in out
    assert "apart" not in out


def test_reasons_that_differ_in_numbers_alone_are_one(run, table) -> None:
    out = run("validate", table()).out
    assert "Skipped: 3 of 5 rows" in out
    (line,) = [line for line in out.splitlines() if "does not divide" in line]
    assert line.split()[0] == "3"


def test_verbose_lists_every_skipped_row(run, table) -> None:
    out = run("validate", table(), "--verbose").out
    assert [name for name in ("s_3", "s_7", "s_8") if name in out] == ["s_3", "s_7", "s_8"]


def test_verdicts_show_their_confusion(run, table) -> None:
    out = run("validate", table(dataclasses.replace(VALIDATION, quantities={"fits": scores(VERDICTS)}))).out
    assert "90 % balanced accuracy" in out
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["sc21"]]
    assert line.split() == ["sc21", "3", "90", "%", "7", "1", "2", "8"]
    assert "Worst rows" not in out


def test_nothing_to_compare_is_said(run, table) -> None:
    nothing = dataclasses.replace(VALIDATION, rows=(), quantities={})
    done = run("validate", table(nothing))
    assert "No row could be compared." in done.out
    assert done.code == 0


def test_fail_above_holds_the_mean_over_sources(run, table) -> None:
    assert run("validate", table(), "--fail-above", "0.15").code == 0
    done = run("validate", table(), "--fail-above", "0.149")
    assert done.code == 5
    assert "15 %, above 14.9 %" in done.err


def test_json_puts_the_first_quantity_on_top() -> None:
    both = dataclasses.replace(VALIDATION, quantities={"step_seconds": scores(SCORE), "fits": scores(VERDICTS)})
    summary = service.validation_json(both)["summary"]
    assert (summary["quantity"], summary["mape"], summary["source_mape"]) == ("step_seconds", 0.12, 0.15)
    assert summary["quantities"]["fits"]["confusion"]["failed_fits"] == 2
    assert summary["by_source"]["sc21"]["num_rows"] == 3


def test_a_table_that_is_not_utf_8_is_told() -> None:
    from crosszone.errors import SpecError

    with pytest.raises(SpecError, match="byte 1 is 0xff, which is not UTF-8"):
        service.validate_bytes(b"i\xff", where="runs.csv")


def test_figures_across_zones_stand_by_source_and_method(run, table) -> None:
    row = dataclasses.replace(
        ROW, quantity="TCP throughput", unit="Gbit/s", measured=0.2, predicted=0.21, relative_error=0.05, gpu="-"
    )
    both = dataclasses.replace(scores(SCORE), by_framework={"far": SCORE, "near": SCORE})
    out = run("validate", table(dataclasses.replace(VALIDATION, rows=(row,), quantities={"cross_zone": both}))).out
    assert "Across zones" in out
    assert "0.2 Gbit/s" in out
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["near"]]
    assert line.split()[1:] == ["3", "12", "%", "10", "%", "-5", "%"]
    assert "GPU" not in out
    assert "regret" not in out
