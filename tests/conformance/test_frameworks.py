"""Every framework: complete numbers with sources, rules that speak, an order of ranks."""

import re
from dataclasses import fields
from importlib import import_module

import numpy as np
import pytest

from crosszone.catalog.frameworks import STRUCTURES, TEXTS, framework_sheet
from crosszone.catalog.sheets import sheet_names
from crosszone.core.framework import Framework
from crosszone.frameworks import framework_facts, framework_names
from crosszone.frameworks.rules import Expressed

FIGURES = {field.name for field in fields(Framework)} - {*TEXTS, *STRUCTURES}


@pytest.fixture(params=framework_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_framework_has_a_sheet_and_every_sheet_a_framework() -> None:
    assert sheet_names("frameworks") == framework_names()


def test_the_sheet_holds_each_figure_once_and_no_other(name: str) -> None:
    names = [figure.name for figure in framework_sheet(name).figures]
    assert sorted(names) == sorted(FIGURES)


def test_every_figure_has_a_source_and_a_date(name: str) -> None:
    for figure in framework_sheet(name).figures:
        assert figure.source, figure
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", figure.retrieved), figure
        assert figure.note or not figure.is_estimated, f"{figure.name} is estimated: say how"
        assert framework_facts(name).source(figure.name)


def test_figures_have_the_size_of_such_things(name: str) -> None:
    facts = framework_facts(name)
    assert re.search(r"\d+\.\d+", facts.version)
    assert 1e-5 < facts.launch_seconds < 5e-3
    assert 0.8 <= facts.elementwise_factor < 2
    assert 6 <= facts.logit_bytes <= 20
    assert 8 <= facts.logit_traffic_bytes <= 60
    assert 1 <= facts.optimizer_traffic_factor < 4
    assert 1e6 < facts.gradient_bucket_bytes < 5e9
    assert 0.5e9 < facts.context_bytes < 5e9
    assert 0.1e9 < facts.communicator_bytes < 1e9
    assert 0 < facts.fragmentation_fraction < 0.1
    assert 0 <= facts.cached_fraction < 0.2
    for elements in (facts.kept_norm_elements, facts.kept_attention_elements, facts.kept_ffn_elements):
        assert 0 <= elements <= 5
    assert 1 <= facts.score_elements <= 4
    assert 0 <= facts.tensor_parallel_overlap_fraction <= 1
    for figure in ("weights_are_master", "overlaps_gradient_reduce", "scatters_pipeline_send"):
        assert isinstance(getattr(facts, figure), bool)


def test_rules_are_told_apart_and_answer_for_every_row(name: str) -> None:
    rules = import_module(f"crosszone.frameworks.{name}").RULES
    assert len({rule.code for rule in rules}) == len(rules)
    rows = 3
    ones = {field.name: np.ones(rows, dtype=np.int64) for field in fields(Expressed)}
    flags = {key: np.zeros(rows, dtype=np.bool_) for key in ones if key.startswith(("is_", "has_", "sequence"))}
    columns = Expressed(**{**ones, **flags})
    for rule in rules:
        violated = rule.violated(columns)
        assert violated.shape == (rows,)
        assert violated.dtype == np.bool_


def test_rank_orders_name_each_axis_once(name: str) -> None:
    for order in import_module(f"crosszone.frameworks.{name}").RANK_ORDERS:
        assert sorted(order) == ["cp", "dp", "pp", "tp"]


def test_the_file_says_what_it_was_read_in(name: str) -> None:
    assert re.search(r"Read in \w+.* \d+\.\d+\.\d+", import_module(f"crosszone.frameworks.{name}").__doc__ or "")
