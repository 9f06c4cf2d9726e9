"""A job as text: what a form changes is changed, and what a person wrote around it stays."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.spec.job_text import write_job
from crosszone.spec.yaml_source import read_yaml

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
TEXT = """# Whose it is.
model: llama-3-8b  # small
workload: {sequence_length: 8192, global_batch_size: 128}
cluster:
  zones:
    - name: east   # ours
      nodes: [{count: 1, gpu: "h100-sxm5-80gb", gpus_per_node: 8}]
"""
plain = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
values = st.recursive(
    plain | words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)
jobs = st.dictionaries(words, values, min_size=1, max_size=5)


def changed(path, new):
    value = copy.deepcopy(read_yaml(TEXT).value)
    inner = value
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = new
    return value


@settings(max_examples=15, deadline=None)
@given(jobs)
def test_what_is_written_is_read_as_it_was(value):
    assert read_yaml(write_job(value)).value == value


@settings(max_examples=15, deadline=None)
@given(jobs, jobs)
def test_what_is_written_into_a_text_is_read_as_it_was(first, second):
    assert read_yaml(write_job(second, like=write_job(first))).value == second


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_text_that_says_it_already_stays_as_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert write_job(read_yaml(text).value, like=text) == text


def test_one_change_leaves_every_other_line_alone():
    written = write_job(changed(("workload", "global_batch_size"), 256), like=TEXT)
    assert written == TEXT.replace("128}", "256}")


def test_comments_and_quotes_stay_where_a_zone_is_added():
    value = read_yaml(TEXT).value
    value["cluster"]["zones"].append({"name": "west", "nodes": [{"count": 2, "gpu": "h100-sxm5-80gb"}]})
    written = write_job(value, like=TEXT)
    assert written.startswith(TEXT)
    assert "{count: 2, gpu: h100-sxm5-80gb}" in written


def test_a_key_that_is_gone_is_gone():
    value = read_yaml(TEXT).value
    del value["model"]
    assert read_yaml(write_job(value, like=TEXT)).value == value


def test_an_alias_of_which_one_place_changes_is_written_out():
    like = "a: &x {n: 1}\nb: *x\n"
    value = {"a": {"n": 1}, "b": {"n": 2}}
    assert read_yaml(write_job(value, like=like)).value == value
