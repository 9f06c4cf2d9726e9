"""Errors carry every problem, survive a process boundary and read well."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from crosszone.errors import (
    Busy,
    Conflict,
    CrossZoneError,
    Finding,
    InfeasiblePlan,
    NotThere,
    PreflightFailed,
    SpecError,
    Stale,
    UnitError,
    UnknownName,
    nearest,
    nearest_hint,
)

FIRST = Finding(
    code="no_unit", message="bandwidth 10 has no unit.", where="cluster.links[0]", hint='Write "10 Gbit/s".'
)
SECOND = Finding(code="too_many_ranks", message="tp*pp = 8*8 = 64, but the cluster has 14 GPUs.")
GPUS = ("a100-sxm4-80gb", "a100-sxm4-40gb", "h100-sxm5-80gb", "v100-sxm2-16gb", "l40s")


def test_all_findings_are_shown_with_their_place_and_hint():
    assert str(SpecError(FIRST, SECOND)).splitlines() == [
        'cluster.links[0]: bandwidth 10 has no unit. Write "10 Gbit/s".',
        "tp*pp = 8*8 = 64, but the cluster has 14 GPUs.",
    ]


def test_the_json_has_the_four_keys_of_the_contract():
    document = json.loads(json.dumps(SpecError(FIRST, SECOND).to_dict()))
    assert [set(row) for row in document["errors"]] == [{"code", "message", "where", "hint"}] * 2
    assert document["errors"][0]["where"] == "cluster.links[0]"
    assert document["errors"][1]["hint"] == ""


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (CrossZoneError, 1),
        (SpecError, 2),
        (UnknownName, 2),
        (UnitError, 2),
        (InfeasiblePlan, 3),
        (PreflightFailed, 4),
        (Conflict, 1),
        (Stale, 1),
        (Busy, 1),
        (NotThere, 1),
    ],
)
def test_exit_codes_are_those_of_the_contract(kind, exit_code):
    assert kind.of("no.").exit_code == exit_code
    assert issubclass(kind, CrossZoneError)


@pytest.mark.parametrize(
    "kind",
    [CrossZoneError, SpecError, UnknownName, UnitError, InfeasiblePlan, PreflightFailed, Conflict, Stale, NotThere],
)
@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_a_process_boundary(kind, duplicate):
    error = duplicate(kind(FIRST, SECOND))
    assert type(error) is kind
    assert error.findings == (FIRST, SECOND)


def test_of_takes_the_class_code_unless_one_is_given():
    assert InfeasiblePlan.of("Nothing fits.").findings[0].code == "infeasible"
    assert InfeasiblePlan.of("Nothing fits.", code="memory").findings[0].code == "memory"


def test_an_error_without_findings_is_our_own_bug():
    with pytest.raises(AssertionError):
        SpecError()


@pytest.mark.parametrize(
    ("name", "first"),
    [("a100-sxm-80gb", "a100-sxm4-80gb"), ("A100-SXM4-80GB", "a100-sxm4-80gb"), ("v100-sxm2-16g", "v100-sxm2-16gb")],
)
def test_nearest_puts_the_likeliest_first(name, first):
    assert nearest(name, GPUS)[0] == first


def test_nearest_finds_what_contains_the_name():
    assert nearest("h100", GPUS) == ("h100-sxm5-80gb",)
    assert set(nearest("a100", GPUS)) == {"a100-sxm4-80gb", "a100-sxm4-40gb"}


def test_nearest_finds_what_begins_with_a_word_like_the_name():
    assert set(nearest("a100x", GPUS)) == {"a100-sxm4-80gb", "a100-sxm4-40gb"}
    assert nearest("h10", GPUS) == ("h100-sxm5-80gb",)


def test_nearest_does_not_guess_wildly():
    assert nearest("quantum", GPUS) == ()
    assert nearest("", GPUS) == ()
    assert nearest("a100", ()) == ()
    assert len(nearest("a100", [f"a100-{index}" for index in range(9)])) == 3


def test_nearest_is_the_same_for_every_order_of_the_choices():
    assert nearest("sxm", GPUS) == nearest("sxm", tuple(reversed(GPUS)))


def test_an_unknown_name_proposes_the_nearest():
    error = UnknownName.among("a100-sxm4-80g", GPUS, kind="GPU", where="cluster.zones[0].nodes[0].gpu")
    assert str(error).startswith(
        'cluster.zones[0].nodes[0].gpu: unknown GPU "a100-sxm4-80g". Did you mean "a100-sxm4-80gb"'
    )
    assert error.findings[0].code == "unknown_name"


def test_an_unknown_name_lists_few_choices_and_is_silent_about_many():
    assert nearest_hint("xyz", ("time", "cost")) == 'Write "cost" or "time".'
    assert nearest_hint("xyz", [f"name-{index}" for index in range(50)]) == ""
    assert nearest_hint("xyz", ("only",)) == 'Write "only".'
    assert nearest_hint("xyz", ()) == ""
