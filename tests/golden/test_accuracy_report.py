"""The accuracy report: deterministic, true to its tables, and what the READMEs show of it."""

import csv
import importlib.util
import io
import math
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/accuracy"
DATE = "2026-11-21"
SMALL = ("mlm2020", "sc21")


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_report", FOLDER / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(report) -> dict[str, str]:
    return {name: text for name, text in report.tables().items() if name in SMALL}


@pytest.fixture(scope="module")
def found(report, texts):
    return report.study(texts, date=DATE)


def test_the_same_tables_give_the_same_study(report, texts, found) -> None:
    again = report.study(texts, date=DATE)
    assert report.ledger_toml(again.ledger) == report.ledger_toml(found.ledger)
    assert report.headline(again) == report.headline(found)


def test_the_headline_is_the_scores(report, found) -> None:
    text = report.headline(found)
    for name in SMALL:
        score = found.validation.quantities["step_seconds"].by_source[name]
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {report.TITLES[name]} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[2] == str(score.num_rows)
        assert cells[3] == f"{100 * score.mape:.1f} %"
        assert cells[6] == f"{100 * score.null_model_mape:.1f} %"
    assert f"mean of the first {len(SMALL)}" in text


def test_coverage_is_of_every_run_as_it_is(found) -> None:
    scores = found.validation.quantities["step_seconds"].by_source
    assert {name: count for name, (count, _, _) in found.coverage.items()} == {
        name: score.num_rows for name, score in scores.items()
    }
    assert all(0 <= inside <= count and width > 0.0 for count, inside, width in found.coverage.values())


def test_left_out_predictions_take_the_place_of_shipped_ones(report, texts, tmp_path, monkeypatch) -> None:
    parts = sys.modules["residuals"]
    cases = parts.timed_cases([texts["sc21"]])
    lines = [f"{case.row.id},{2.0 * parts.measured_seconds(case)!r}" for case in cases]
    path = tmp_path / "left_out.csv"
    path.write_text("\n".join(["id,left_out_seconds", *lines]) + "\n", encoding="utf-8")
    monkeypatch.setattr(parts, "LEFT_OUT", path)
    found = report.study({name: texts[name] for name in ("mlm2020", "sc21")}, date=DATE)
    assert found.left_out == {"sc21": pytest.approx(1.0)}
    assert found.left_out_best_constant == {"sc21": pytest.approx(0.0)}  # they are all off by the same factor
    plain = parts.residuals(cases, report.studied(cases, date=DATE)).plain
    assert [each.log_ratio for each in plain] == pytest.approx([-math.log(2.0)] * len(cases))
    assert "left out of the fit" in found.ledger.source


def test_a_study_without_them_says_so(report, texts, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["residuals"], "LEFT_OUT", tmp_path / "none.csv")
    found = report.study({name: texts[name] for name in ("mlm2020", "sc21")}, date=DATE)
    assert found.left_out == {}
    assert "shipped constants" in found.ledger.source
    (line,) = [line for line in report.headline(found).splitlines() if line.startswith("| Narayanan")]
    assert line.split("|")[5].strip() == "–"


def test_runs_unlike_their_like_are_told_by_measured_times_alone(report) -> None:
    """The same layout on 8 and 16 GPUs at 40,000 tokens/s; another run of either is a fault at less than half."""
    text = report.tables()["usp"]
    head, first = text.splitlines()[:2]
    columns = head.split(",")

    def line(number: int, **cells: str) -> str:
        values = dict(zip(columns, next(csv.reader([first])), strict=True)) | cells | {"id": f"usp_{number}"}
        out = io.StringIO()
        csv.DictWriter(out, columns, lineterminator="").writerow(values)
        return out.getvalue()

    rate = "tokens_per_second_per_gpu"
    lines = [
        line(1, **{rate: "40000"}),
        line(2, n_gpus="16", dp="16", grad_accum="8", **{rate: "21000"}),
        line(3, n_gpus="16", dp="16", grad_accum="8", zero_stage="1", **{rate: "19000"}),
        line(4, n_gpus="64", dp="64", grad_accum="2", **{rate: "5000"}),  # four times as far: not its like
        line(5, n_gpus="16", dp="16", micro_batch="1", grad_accum="16", **{rate: "9000"}),  # another layout
    ]
    cases = report.timed_cases(["\n".join([head, *lines])])
    assert len(cases) == len(lines)
    assert sys.modules["causes"].unlike_their_like(cases) == {"usp_3"}


def test_markers_are_replaced_and_the_rest_stays(report) -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.with_headline(text, "| new |") == f"before\n{report.BEGIN}\n| new |\n{report.END}\nafter\n"


@pytest.mark.parametrize("path", sorted((FOLDER / "data").glob("*.csv")), ids=lambda path: path.stem)
def test_every_row_says_where_it_comes_from(path) -> None:
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["id"].startswith(f"{path.stem}_")
        assert row["citation"]
        assert row["url"].startswith("https://")
        assert re.fullmatch(r"20\d\d", row["year"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["retrieved"])
        assert row["quality"] in ("A", "B")


def test_every_source_has_a_title_and_its_line_in_the_split(report) -> None:
    names = set(report.tables())
    assert names == set(report.TITLES)
    split = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [name for name in names if f"| `{name}` |" not in split]


def test_the_tables_stay_small() -> None:
    assert sum(path.stat().st_size for path in (FOLDER / "data").glob("*.csv")) < 1_500_000


@pytest.mark.generated
@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_readmes_show_the_headline_of_the_report(report, name) -> None:
    block = re.compile(f"{report.BEGIN}.*?{report.END}", re.DOTALL)
    kept = block.search((FOLDER / "report.md").read_text(encoding="utf-8"))
    shown = block.search((ROOT / name).read_text(encoding="utf-8"))
    assert kept is not None
    assert shown is not None
    assert shown[0] == kept[0]


@pytest.mark.soak
def test_the_report_is_what_the_program_says_today(report) -> None:
    text = (FOLDER / "report.md").read_text(encoding="utf-8")
    date = re.search(r"`, (\d{4}-\d\d-\d\d)\.", text)
    assert date is not None
    assert report.report(report.study(report.tables(), date=date[1]), date=date[1]) == text
