"""The published schema and reference: they take what the reader takes and are up to date."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from crosszone.spec import job_schema, read_job_text
from crosszone.spec.later import DEPLOYED, LATER, LATER_VALUES
from crosszone.spec.reference import PAGE_FILE, SCHEMA_FILE, page_text, schema_text, write
from crosszone.spec.schema import keys, keys_at, nearest_places
from crosszone.spec.yaml_source import read_yaml

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs/reference"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(job_schema())
    return jsonschema.Draft202012Validator(job_schema())


def test_takes_the_example(validator, example):
    assert list(validator.iter_errors(read_yaml(example).value)) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_takes_the_examples(validator, path):
    assert list(validator.iter_errors(read_yaml(path.read_text(encoding="utf-8")).value)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("plan.pb", 2),
        ("custer", {}),
        ("workload.sequence_length", 0),
        ("workload.optimizer", "adamv"),
        ("cluster.zones.0.nodes.0.network", 200),
        ("cluster.zones.0.nodes", []),
        ("cluster.default_link.rtt", 28),
        ("model", {"parameters": "13B", "num_layers": 3}),
        ("plan.rank_order", ["tp", "tp", "dp", "pp"]),
        ("schema_version", 2),
    ],
)
def test_refuses_what_the_reader_refuses(validator, small, findings, place, value):
    job = small({place: value})
    assert not validator.is_valid(job)
    assert findings(job)


def test_takes_every_way_to_write_a_model(validator, small):
    shape = {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000}
    for model in ("llama-2-7b", {"parameters": "13B"}, {"parameters": 13e9}, shape):
        assert validator.is_valid(small({"model": model}))


def test_every_key_has_a_meaning():
    assert len(keys()) > 150
    assert not [key.place for key in keys() if not key.description.endswith((".", "`"))]


def test_every_key_of_later_exists():
    known = {key.place for key in keys()}
    assert {*LATER, *DEPLOYED} <= known
    assert {place for place, _ in LATER_VALUES} <= known


def test_keys_by_place():
    assert keys_at(("cluster", "links", 3))[0] == "bandwidth"
    assert "from" in keys_at(("cluster", "links", 3))
    assert "parameters" in keys_at(("model",))
    assert keys_at(("plan", "tp")) == keys_at(("nowhere",)) == ()
    assert nearest_places("gpus_per_node") == ("cluster.zones[].nodes[]",)


def test_schema_is_a_copy():
    job_schema()["properties"].clear()
    assert job_schema()["properties"]


@pytest.mark.generated
def test_published_schema_is_up_to_date():
    assert (DOCS / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text(), (
        "python -m crosszone.spec.reference docs/reference"
    )


@pytest.mark.generated
def test_reference_is_up_to_date():
    page = (DOCS / PAGE_FILE).read_text(encoding="utf-8")
    assert page == page_text(page), "python -m crosszone.spec.reference docs/reference"


def test_reference_has_every_key():
    page = (DOCS / PAGE_FILE).read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(keys())
    assert {row[1].strip(" `") for row in rows} == {key.place.rpartition(".")[2] for key in keys()}


def test_job_file_of_the_reference_can_be_read():
    page = (DOCS / PAGE_FILE).read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert read_job_text(block).cluster.num_gpus == 96


def test_writing_the_reference_keeps_its_prose(tmp_path):
    (tmp_path / PAGE_FILE).write_text("# Prose\n\n<!-- keys of framework -->\nold\n<!-- end of keys -->\n\nMore.\n")
    write(tmp_path)
    page = (tmp_path / PAGE_FILE).read_text(encoding="utf-8")
    assert page.startswith("# Prose\n")
    assert page.endswith("\n\nMore.\n")
    assert "| `name` | text |" in page
    assert "old" not in page
    assert (tmp_path / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()
