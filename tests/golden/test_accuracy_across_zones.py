"""Errors across zones stay where they were measured, and where they must be; the report shows them."""

import csv
import importlib.util
import re
import statistics
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/accuracy"


@pytest.fixture(scope="module")
def geo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_geo", FOLDER / "geo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(geo):
    return geo.validations()


def sizes(found, name: str, method: str = "") -> list[float]:
    return [abs(row.relative_error) for row in found[name].rows if row.is_counted and method in row.framework]


@pytest.mark.parametrize("table", ["Table 5", "Table 6"])
@pytest.mark.parametrize(("method", "bound"), [("static", 0.06), ("generated", 0.04)])
def test_pipelines_with_delay(found, table, method, bound) -> None:
    """Slow-down against the anchor. Required: 8 % and 12 %; measured: 4.3 and 5.3 %, 2.8 and 2.8 %."""
    rows = [row for row in found["crosspipe"].rows if table in row.source and row.framework.startswith(method)]
    assert len(rows) == (24 if method == "static" else 32)
    assert statistics.fmean(abs(row.relative_error) for row in rows) <= bound


def test_averaging_over_zones(found) -> None:
    """Required: 10 %; measured: 6.0 %."""
    errors = sizes(found, "erben")
    assert len(errors) == 10
    assert statistics.fmean(errors) <= 0.065


def test_tcp_on_private_networks(found) -> None:
    """Required: a median of 5 %; measured: 2.5 %, between regions 3.3 %, without the routes of the fit."""
    assert statistics.median(sizes(found, "iperf")) <= 0.03
    assert statistics.median(sizes(found, "iperf", "between regions")) <= 0.04
    assert all("1-4" not in row.group for row in found["iperf"].rows if row.is_counted)


def test_bandwidth_that_diloco_needs(geo, found) -> None:
    """Required: 90 % of the cells within one point of the grid; measured: 99.4 %, 112 of 163 on the point itself."""
    rows = [row for row in found["diloco"].rows if row.is_counted]
    assert len(rows) == 163
    assert geo.within_one(rows) >= 0.98
    assert sum(geo.notches(row.predicted, row.measured) == 0 for row in rows) >= 110


def test_shares_of_compute(found) -> None:
    """Arithmetic on the printed times: nothing but rounding."""
    assert max(sizes(found, "intellect")) <= 0.003


def test_every_row_is_predicted_or_skipped(found) -> None:
    for name, validation in found.items():
        text = (FOLDER / f"geo/{name}.csv").read_text(encoding="utf-8")
        names = [row["id"] for row in csv.DictReader(text.splitlines())]
        assert sorted(names) == sorted(row.id for row in (*validation.rows, *validation.skipped))
        assert all(row.reason for row in validation.skipped)


@pytest.mark.parametrize("path", sorted((FOLDER / "geo").glob("*.csv")), ids=lambda path: path.stem)
def test_every_row_says_where_it_comes_from(path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["id"] for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["id"].startswith(f"{path.stem}_")
        assert row["citation"]
        assert row["url"].startswith("https://")
        assert re.fullmatch(r"20\d\d", row["year"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["retrieved"])


def test_every_table_is_explained(geo, found) -> None:
    assert set(found) == set(geo.NOTES)
    explained = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert not [name for name in found if f"| `{name}` |" not in explained]


@pytest.mark.generated
@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "benchmarks/accuracy/report.md"])
def test_pages_show_what_the_program_says(geo, found, name) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    text = geo.section(found) if name.endswith("report.md") else geo.headline(found)
    assert geo.block(text) in page
