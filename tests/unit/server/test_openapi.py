"""The document says what the server does: every answer keeps the schema that it promises."""

from __future__ import annotations

import copy

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from crosszone.server.verbs import VERBS

JOB = next(verb for verb in VERBS if verb.name == "predict").example["job"]


@pytest.fixture(scope="module")
def document(ask):
    return ask("GET", "/api/v1/openapi.json").json()


@pytest.fixture(scope="module")
def check(document):
    """Holds a value against a component, or an answer against what its operation promises."""

    def against(value, name):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = list(Draft202012Validator(schema).iter_errors(value))
        assert not errors, jsonschema.exceptions.best_match(errors)

    return against


def result(document, path, method="post", status="200"):
    content = document["paths"][path][method]["responses"][status]["content"]
    return next(iter(content.values()))["schema"]["$ref"].rpartition("/")[2]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.result], ids=lambda verb: verb.name)
def test_the_example_of_every_verb_is_answered_as_promised(post, check, document, verb):
    response = post(verb.path, copy.deepcopy(verb.example))
    assert response.status_code == 200, response.text
    check(response.json(), result(document, verb.path))


def test_a_report_is_a_page_to_save_where_its_page_was_built(post, document):
    (content,) = document["paths"]["/api/v1/report"]["post"]["responses"]["200"]["content"]
    response = post("report", {"job": JOB})
    if response.status_code == 503:
        assert "make web" in response.json()["errors"][0]["hint"]
        return
    assert response.headers["content-type"].partition(";")[0] == content == "text/html"
    assert response.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert response.content.startswith(b"<!doctype html>")


@pytest.mark.parametrize("more", [{"sensitivity": True, "top": 1}, {"why": "tp=8"}, {"frameworks": True}])
def test_other_questions_about_plans_keep_the_schema_too(post, check, more):
    job = {**JOB, "plan": {"microbatch_size": 1}}
    check(post("/api/v1/plan", {"job": job, **more}).json(), "Planned")


def test_jobs_for_which_nothing_fits_keep_the_schema_too(post, check):
    small = {**JOB, "model": "llama-3.1-405b"}
    small.pop("plan")
    answer = post("/api/v1/plan", {"job": small}).json()
    assert answer["plans"] == []
    check(answer, "Answer")


@pytest.mark.parametrize(
    "path",
    ["/catalog/gpus", "/catalog/gpus/h100-sxm5-80gb", "/templates", "/configuration", "/doctor"],
)
def test_what_is_read_keeps_its_schema(ask, check, document, path):
    described = "/catalog/{kind}" if path == "/catalog/gpus" else path
    described = "/catalog/{kind}/{name}" if "h100" in path else described
    check(ask("GET", f"/api/v1{path}").json(), result(document, f"/api/v1{described}", "get"))


def test_every_reference_leads_somewhere(document):
    names = document["components"]["schemas"].keys()

    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].rpartition("/")[2] in names
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(document)
    assert document["openapi"] == "3.1.0"


def test_every_operation_has_a_name_a_summary_and_its_problems(document):
    seen = set()
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            assert told["summary"], (path, method)
            assert told["operationId"] not in seen
            seen.add(told["operationId"])
            assert {"401", "421", "500", "503"} <= told["responses"].keys()
            for status, answer in told["responses"].items():
                if int(status) >= 400:
                    assert "application/problem+json" in answer["content"]
