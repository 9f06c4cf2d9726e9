"""`crosszone compare` over what the other verbs write."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from crosszone import service
from crosszone.cli.show_whatif import number_text

EXAMPLES = Path(__file__).parents[3] / "examples"
UNEVEN, SINGLE = EXAMPLES / "uneven-2-4-8.yaml", EXAMPLES / "single-zone-llama-3-8b-8xh100.yaml"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with what `plan -o` and `predict --json` write."""
    folder = tmp_path_factory.mktemp("saved")
    answer = service.answer_json(service.plan(service.read(UNEVEN), top=2))
    (folder / "PLANS.json").write_text(json.dumps(answer))
    (folder / "P.json").write_text(json.dumps(service.prediction_json(service.predict(service.read(SINGLE)))))
    return folder


def test_plans_of_one_file_and_a_prediction_side_by_side(run, saved):
    sides = [f"{saved}/PLANS.json#1", f"{saved}/PLANS.json#2", f"{saved}/P.json"]
    value = json.loads(run("compare", *sides, "--json").out)
    assert [side["name"] for side in value["sides"]] == sides
    rows = {row["name"]: row["values"] for row in value["rows"]}
    plans = json.loads((saved / "PLANS.json").read_text())["plans"]
    assert rows["step_seconds"][:2] == [plan["prediction"]["step_seconds"] for plan in plans]
    assert rows["step_seconds"][2] == json.loads((saved / "P.json").read_text())["step_seconds"]
    assert rows["model.name"] == ["llama-2-7b", "llama-2-7b", None]


def test_people_see_what_differs_and_all_where_they_ask(run, saved):
    sides = [f"{saved}/PLANS.json#1", f"{saved}/PLANS.json#2"]
    shown = run("compare", *sides).out
    assert "step seconds" in shown
    assert "num parameters" not in shown
    assert "num parameters" in run("compare", *sides, "--verbose").out


def test_prices_of_the_inputs_are_written_as_such():
    assert number_text("cluster.zones[a].node_groups[0].dollars_per_gpu_second", 2 / 3600) == "2.00 USD/h"
    assert number_text("cluster.links[a,b].egress_dollars_per_byte", 2e-11) == "0.02 USD/GB"


def test_a_table_has_every_value_as_the_json_has_it(run, saved, tmp_path):
    sides = [f"{saved}/PLANS.json#1", f"{saved}/PLANS.json#2"]
    assert run("compare", *sides, "-o", str(tmp_path / "t.csv")).code == 0
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    rows = json.loads(run("compare", *sides, "--json").out)["rows"]
    assert [(each["section"], each["name"]) for each in found] == [(row["section"], row["name"]) for row in rows]
    for each, row in zip(found, rows, strict=True):
        for side, value in zip(sides, row["values"], strict=True):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            expected = "" if value is None else str(value)
            assert float(each[side]) == value if is_number else each[side].removeprefix("'") == expected, row["name"]


def test_one_result_alone_is_a_table_and_its_name_no_formula(run, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(saved / "P.json", tmp_path / "=P.json")
    assert run("compare", "=P.json", "-o", "t.csv").code == 0
    head, *rows = (tmp_path / "t.csv").read_text().splitlines()
    assert head == "section,name,'=P.json"
    assert any(row.startswith("time,step_seconds,") for row in rows)
    assert run("compare", "=P.json").code == 2
    assert "*.csv or *.parquet" in run("compare", "=P.json", "-o", "t.txt").err


def test_one_with_itself_is_the_same(run, saved):
    assert "They are the same." in run("compare", f"{saved}/P.json", f"{saved}/P.json").out


def test_a_bundle_is_compared_by_its_prediction(run, saved):
    bundle = saved / "bundle"
    options = ("--framework", "fsdp", "--backend", "bare", "--steps", "3", "--checkpoints", "none")
    assert run("deploy", str(SINGLE), *options, "-o", str(bundle)).code == 0
    value = json.loads(run("compare", str(bundle), f"{saved}/P.json", "--json").out)
    assert value["sides"][0]["framework"] == "fsdp"
    assert {row["name"]: row["values"] for row in value["rows"]}["model.name"] == ["llama-3-8b", None]


def test_a_bundle_is_the_same_as_the_plan_that_it_was_made_of(run, saved):
    framework = json.loads((saved / "PLANS.json").read_text())["plans"][0]["plan"]["framework"]
    options = ("--framework", framework, "--backend", "kubernetes", "--steps", "3", "--checkpoints", "none")
    bundle, plan = saved / "of-plan", f"{saved}/PLANS.json#1"
    found = run("deploy", str(UNEVEN), "--plan", plan, *options, "-o", str(bundle))
    assert found.code == 0, found.err
    assert "They are the same." in run("compare", plan, str(bundle)).out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.json", None, "none.json"),
        ("bad.json", "{", "not JSON"),
        ("list.json", "[]", "no JSON object"),
        ("empty.json", "{}", "no step_seconds"),
        ("P.json#2", None, "P.json"),
        (".", None, "metadata.json"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_text(content)
    found = run("compare", str(tmp_path / name), str(tmp_path / name))
    assert found.code == 2
    assert said in found.err
