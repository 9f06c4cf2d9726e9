"""What the server says of itself, of first job files, and of its machine."""

from __future__ import annotations

import hashlib

import pytest

from crosszone import service
from crosszone.core.access import OPERATOR
from crosszone.errors import SpecError
from crosszone.server.access import Access, access
from crosszone.server.options import ServeOptions

TOKEN = "t0ken-of-thirty-two-characters-or-more"
GUARDED = Access(token_digests=(hashlib.sha256(TOKEN.encode()).digest(),), host_names=None)


@pytest.fixture(scope="module")
def guarded(new_application):
    return new_application(GUARDED)


def test_a_user_interface_learns_first_whether_a_token_is_needed(ask, guarded):
    value = ask("GET", "/api/v1/configuration").json()
    assert (value["api_path"], value["is_token_needed"], value["is_demo"]) == ("/api/v1", False, False)
    assert value["languages"] == ["en", "zh"]
    assert value["most_body_bytes"] == 8 * 2**20
    assert ask("GET", "/api/v1/configuration", to=guarded).json()["is_token_needed"] is True


@pytest.mark.parametrize("path", ["/api/v1/schema", "/api/v1/doctor", "/api/v1/templates", "/metrics", "/api/v1/x"])
def test_everything_else_asks_for_the_token(ask, guarded, path):
    refused = ask("GET", path, to=guarded)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="crosszone"')
    assert ask("GET", path, to=guarded, headers={"Authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_templates_are_job_files_that_can_be_sent_back(ask, post):
    response = ask("GET", "/api/v1/templates")
    templates = response.json()["templates"]
    assert [each["text"] for each in templates] == [each.text for each in service.job_templates()]
    assert post("whatif", {"job": templates[0]["text"]}).status_code == 200
    assert ask("GET", "/api/v1/templates", headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_the_doctor_looks_at_this_machine_alone(ask):
    value = ask("GET", "/api/v1/doctor").json()
    assert [node["address"] for node in value["nodes"]] == [None]
    assert value["facts"][0]["num_cpus"] >= 1


def test_a_demonstration_answers_anybody_but_not_in_clear():
    with pytest.raises(SpecError) as caught:
        access(ServeOptions(host="0.0.0.0", is_demo=True))
    assert [finding.where for finding in caught.value.findings] == ["--tls-cert"]
    allowed = access(ServeOptions(host="0.0.0.0", is_demo=True, is_behind_proxy=True))
    assert allowed.nobody().scope == OPERATOR
    assert allowed.has_host("demo.example")
    assert not access(ServeOptions()).has_host("demo.example")


def test_a_demonstration_says_so(ask, new_application):
    assert ask("GET", "/api/v1/configuration", to=new_application(is_demo=True)).json()["is_demo"] is True


def test_a_demonstration_says_nothing_of_its_machine(ask, new_application):
    assert ask("GET", "/api/v1/doctor", to=new_application(is_demo=True)).status_code == 404


def test_results_are_put_side_by_side_as_the_command_does(post, example):
    one = post("predict", {"job": example}).json()
    other = post("plan", {"job": example, "top": 1}).json()
    value = post("compare", {"results": [one, other], "names": ["one", "other"]}).json()
    assert value == service.compare_json(service.compare([("one", one), ("other", other)]))
    assert [side["name"] for side in value["sides"]] == ["one", "other"]
    unnamed = post("compare", {"results": [one, other]}).json()
    assert [side["name"] for side in unnamed["sides"]] == ["results[0]", "results[1]"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"results": [{"step_seconds": 1.0}, {}]}, "/results/1"),
        ({"results": [{"step_seconds": 1.0}]}, ""),
        ({"results": [{"step_seconds": 1.0}] * 2, "names": ["a"]}, "/names"),
        ({"results": [1, 2]}, "/results"),
        ({"results": {}}, "/results"),
    ],
)
def test_what_cannot_be_compared_is_told_with_its_place(post, body, pointer):
    response = post("compare", body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
