"""YAML that readers of YAML 1.1 and of YAML 1.2 understand alike."""

import io
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from crosszone.deploy.yaml_text import yaml_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_every_value_comes_back_from_both_readers(value: Any) -> None:
    text = yaml_text({"value": value})
    assert text.isascii()
    assert yaml.safe_load(text) == YAML(typ="safe").load(text) == {"value": value}


@pytest.mark.parametrize("word", "no On y null 1e3 0x1f 12:30:45 2026-01-01 ~ .inf <<".split())
def test_text_stays_text(word: str) -> None:
    """Kubernetes and SkyPilot read YAML 1.1, where a zone called `no` would be false."""
    text = yaml_text({"zone": word, word: 1})
    assert text.startswith('zone: "')
    assert yaml.safe_load(text) == {"zone": word, word: 1}


def test_programs_are_readable() -> None:
    assert yaml_text({"run": "set -e\necho hi\n"}) == "run: |\n  set -e\n  echo hi\n"


def test_an_object_used_twice_is_written_twice() -> None:
    labels = {"name": "x"}
    assert "&" not in yaml_text({"a": labels, "b": labels})


def test_documents_are_apart() -> None:
    assert list(YAML(typ="safe").load_all(io.StringIO(yaml_text({"a": 1}, {"b": 2})))) == [{"a": 1}, {"b": 2}]
