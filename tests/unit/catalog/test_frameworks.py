"""Older generations of frameworks: what differs from today, and nothing else."""

import re
import tomllib
from dataclasses import fields
from importlib import resources

import pytest

from crosszone.catalog.frameworks import STRUCTURES, TEXTS, framework, framework_sheet, generations
from crosszone.catalog.sheets import sheet_names
from crosszone.core.framework import Framework
from crosszone.errors import UnknownName

EVERY = [(name, generation) for name in sheet_names("frameworks") for generation in generations(name)]
KERNELS = ("best", "flash2", "flash1")


def test_generations_of_a_sheet_without_any_are_none() -> None:
    assert generations("ddp") == ()


def test_a_generation_has_what_it_says_and_the_rest_of_today() -> None:
    old, today = framework("megatron", "2021"), framework("megatron")
    assert (today.overlaps_gradient_reduce, old.overlaps_gradient_reduce) == (True, False)
    assert old.optimizer_traffic_factor == 2.14
    assert old.logit_bytes == today.logit_bytes
    assert old.name == "megatron 2021"
    assert old.version != today.version
    assert "all-reduce after the last backward" in old.source("overlaps_gradient_reduce")
    assert old.source("logit_bytes") == today.source("logit_bytes")
    assert len([fact for fact in old.facts if fact.field == "overlaps_gradient_reduce"]) == 1


def test_todays_sheet_shows_no_older_figure() -> None:
    assert all("." not in figure.name for figure in framework_sheet("megatron").figures)
    assert framework("megatron").facts == framework("megatron").facts
    assert "megatron 2021" not in framework("megatron").name


def test_an_unknown_generation_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="nanotron-2025"):
        framework("megatron", "nanotron-2024")


@pytest.mark.parametrize(("name", "generation"), EVERY)
def test_every_generation_changes_known_facts_with_a_source(name: str, generation: str) -> None:
    text = resources.files("crosszone.catalog").joinpath(f"data/frameworks/{name}.toml").read_text(encoding="utf-8")
    own = tomllib.loads(text)[generation]
    assert set(own) <= {field.name for field in fields(Framework)} - {"name", *STRUCTURES}
    facts, today = framework(name, generation), framework(name)
    assert re.search(r"\(20\d\d", facts.version), "say when"
    for field in set(own) - set(TEXTS):
        assert getattr(facts, field) != getattr(today, field), f"{field} is today's: leave it out"
        assert facts.source(field)


@pytest.mark.parametrize(("name", "generation"), [*EVERY, *((name, "") for name in sheet_names("frameworks"))])
def test_attention_kernels_are_known_ones(name: str, generation: str) -> None:
    assert framework(name, generation).attention_kernel in KERNELS
