from __future__ import annotations

import json

import jsonschema
import pytest

from crosszone.errors import CrossZoneError, Finding, InfeasiblePlan, SpecError, UnknownName
from crosszone.server.languages import language
from crosszone.server.problems import (
    KINDS,
    NOT_FOUND,
    Refused,
    mistake,
    problem_bytes,
    problem_response,
    problem_schema,
    refused,
)


def problem(refusal, wanted="en"):
    return json.loads(problem_bytes(refusal, request_id="r1", wanted=wanted))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.5, zh-Hans;q=0.7", "zh"),
        ("de", "en"),
        ("zh;q=0", "en"),
        ("zh;q=much", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_what_the_reader_prefers(header, expected):
    assert language(header) == expected


def test_exit_codes_become_statuses_and_types():
    assert [
        (refused(error).kind.name, refused(error).kind.status)
        for error in (
            SpecError.of("Wrong."),
            UnknownName.of("Wrong."),
            InfeasiblePlan.of("Wrong."),
            CrossZoneError.of("Wrong."),
        )
    ] == [("invalid", 422), ("invalid", 422), ("infeasible", 422), ("internal", 500)]


def test_all_errors_are_told_with_their_places():
    error = SpecError(
        Finding(code="a", message="One.", where="--top", hint="Do."), Finding(code="b", message="Two.", where="model")
    )
    value = problem(refused(error, {"top": 0, "job": {"model": 1}}))
    assert value["detail"] == "top: One. Do. (2 problems)"
    assert value["errors"] == [
        {"code": "a", "message": "One.", "where": "top", "hint": "Do.", "pointer": "/top"},
        {"code": "b", "message": "Two.", "where": "model", "hint": "", "pointer": "/job/model"},
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("wanted", ["en", "zh"])
def test_every_kind_keeps_the_schema_and_has_two_titles(kind, wanted):
    value = problem(Refused.of(kind, "It is."), wanted)
    jsonschema.validate(value, problem_schema())
    assert value["status"] == kind.status
    assert value["title"] == (kind.chinese if wanted == "zh" else kind.english)
    assert kind.english.isascii()
    assert not kind.chinese.isascii()


def test_no_two_kinds_have_one_type():
    assert len({kind.type for kind in KINDS}) == len(KINDS)


def test_a_mistake_of_ours_names_its_request_and_nothing_else():
    value = problem(mistake("r1"))
    assert value["status"] == 500
    assert value["instance"].endswith(":r1")
    assert "r1" in value["errors"][0]["hint"]


def test_half_a_surrogate_in_a_message_is_still_an_answer():
    assert problem(Refused.of(NOT_FOUND, "no \udcff."))["status"] == 404


def test_the_answer_says_its_language():
    response = problem_response(Refused.of(NOT_FOUND, "No."), request_id="r", accept_language="zh")
    assert response.headers["content-language"] == "zh"
    assert response.headers["vary"] == "Accept-Language"
    assert response.headers["content-type"] == "application/problem+json"
