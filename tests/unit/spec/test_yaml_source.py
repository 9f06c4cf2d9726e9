"""YAML text to values with lines; broken, hostile or odd text is one clear error."""

from __future__ import annotations

import pytest

from crosszone.errors import SpecError
from crosszone.spec import read_job_text
from crosszone.spec.yaml_source import MAX_BYTES, MAX_DEPTH, place, read_mapping, read_yaml


def error(text: str):
    with pytest.raises(SpecError) as caught:
        read_yaml(text)
    (finding,) = caught.value.findings
    return finding


def test_scalars_follow_the_core_schema():
    text = "{a: 1, b: -2.5, c: 1e3, d: true, e: null, f: , g: yes, h: 2026-11-20, i: '1', j: 0x10, k: 1_000, l: 12:30}"
    assert read_yaml(text).value == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": True,
        "e": None,
        "f": None,
        "g": "yes",
        "h": "2026-11-20",
        "i": "1",
        "j": 16,
        "k": "1_000",
        "l": "12:30",
    }


def test_lines_of_keys_and_items():
    source = read_yaml("# a comment\na:\n  b:\n    - x\n    - {c: 1}\n")
    assert source.lines[("a",)] == 2
    assert source.lines[("a", "b")] == 3
    assert source.lines[("a", "b", 0)] == 4
    assert source.lines[("a", "b", 1, "c")] == 5


def test_aliases_repeat_values():
    source = read_yaml("a: &x {n: [1, 2]}\nb: *x\nc: [*x]")
    assert source.value["b"] == source.value["c"][0] == {"n": [1, 2]}


def test_keys_are_text():
    assert read_yaml("1: a\ntrue: b").value == {"1": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "empty", "empty"),
        ("# nothing\n", "empty", "empty"),
        ("---\n...\n", "empty", "empty"),
        ("- a\n", "wrong_type", "a list"),
        ("llama", "wrong_type", "one value"),
        ("a: 1\n\tb: 2", "yaml", "line 2"),
        ("a: [1, 2", "yaml", "line 1"),
        ("a: b: c", "yaml", "line 1"),
        ("a: 1\n b: 2", "yaml", "line 2"),
        ("a: 1\n---\nb: 2", "yaml", "second document"),
        ("a: *x", "yaml", "no anchor"),
        ("a: &x [*x]", "yaml", "no anchor"),
        ("? [a]\n: 1", "yaml", "key is a list"),
        ("a: !!python/object:os.system x", "yaml", "tag"),
        ("a: \x00", "yaml", "not valid"),
        ("%YAML 9.9\n---\na: 1", "yaml", "version"),
        ("a: " + "x" * 5000, "too_large", "5000 characters"),
        ("x" * (MAX_BYTES + 1), "too_large", str(MAX_BYTES)),
        ("[" * 100_000, "too_deep", str(MAX_DEPTH)),
        ("a: " + "{b: " * 100, "too_deep", str(MAX_DEPTH)),
    ],
)
def test_what_is_not_a_job_file(text, code, says):
    finding = error(text)
    assert finding.code == code
    assert says in finding.message


def test_tabs_have_a_hint():
    assert "spaces" in error("a:\n\tb: 1").hint


def test_alias_bomb_is_refused_before_it_is_built():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    finding = error("\n".join(rows))
    assert (finding.code, "values" in finding.message) == ("too_large", True)


def test_duplicate_keys_are_told_with_the_rest():
    with pytest.raises(SpecError) as caught:
        read_job_text("model: a\nmodel: llama-2-7b\nworkload: {sequence_length: 1, sequence_length: 2}\n")
    told = {finding.where: finding for finding in caught.value.findings}
    assert told["model"].code == told["workload.sequence_length"].code == "duplicate_key"
    assert "line 1 and on line 2" in told["model"].message
    assert "cluster" in told


def test_mappings_are_bounded_too():
    deep: dict = {}
    inner = deep
    for _ in range(2000):
        inner["a"] = {}
        inner = inner["a"]
    endless: list = []
    endless.append(endless)
    for value in (deep, {"a": ["x"] * 100_000}, {"a": "x" * 5000}, {"a": endless}, {"a": 10**5000}):
        with pytest.raises(SpecError):
            read_mapping(value)


def test_places_read_as_people_write_them():
    assert place(("cluster", "zones", 1, "nodes", 0, "gpu")) == "cluster.zones[1].nodes[0].gpu"
    assert place(()) == ""
