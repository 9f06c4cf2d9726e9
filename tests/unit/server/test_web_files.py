"""The files of the web user interface as browsers get them."""

from __future__ import annotations

import gzip

import pytest

from crosszone.server.access import Access
from crosszone.server.web_files import WebFiles

SCRIPT = b"console.log(1);" * 200


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<title>page</title>")
    (folder / "assets/index-abc.js").write_bytes(SCRIPT)
    return WebFiles(folder)


@pytest.fixture(scope="module")
def served(new_application, web):
    return new_application(web=web)


def test_the_page_and_its_files_are_served(ask, served):
    page, script = ask("GET", "/", to=served), ask("GET", "/assets/index-abc.js", to=served)
    assert "<title>page</title>" in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert script.content == SCRIPT
    assert script.headers["content-type"].startswith("text/javascript")


def test_scripts_come_from_files_alone(ask, served):
    policy = dict(
        part.split(" ", 1) for part in ask("GET", "/", to=served).headers["content-security-policy"].split("; ")
    )
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert ask("GET", "/healthz", to=served).headers["content-security-policy"].startswith("default-src 'none'; frame")


def test_only_what_has_its_digest_in_its_name_is_kept_unasked(ask, served):
    assert "immutable" in ask("GET", "/assets/index-abc.js", to=served).headers["cache-control"]
    page = ask("GET", "/plan", to=served)
    assert page.headers["cache-control"] == "no-cache"
    again = ask("GET", "/plan", to=served, headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_address_of_a_page_is_the_page_and_a_missing_file_is_missing(ask, served):
    assert "<title>page</title>" in ask("GET", "/tasks/task-1", to=served).text
    assert ask("GET", "/assets/index-old.js", to=served).status_code == 404
    assert ask("GET", "/assets/../../app.py", to=served).status_code == 404


def test_the_api_stays_as_it_is(ask, served):
    assert ask("GET", "/api/v1/nowhere", to=served).headers["content-type"] == "application/problem+json"
    assert ask("GET", "/api/v1/predict", to=served).status_code == 405
    assert ask("POST", "/plan", to=served).status_code == 404
    assert ask("GET", "/healthz", to=served).json()["status"]


def test_a_head_has_no_body_and_gzip_is_sent_to_who_takes_it(ask, served, web):
    assert ask("HEAD", "/", to=served).content == b""
    packed = web.files["assets/index-abc.js"].packed
    assert gzip.decompress(packed) == SCRIPT
    answer = ask("GET", "/assets/index-abc.js", to=served, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == SCRIPT


def test_the_page_needs_no_token_and_the_api_does(ask, new_application, web):
    guarded = new_application(Access(token_digests=(b"x",)), web=web)
    assert ask("GET", "/", to=guarded).status_code == 200
    assert ask("GET", "/api/v1/templates", to=guarded).status_code == 401
    assert ask("GET", "/metrics", to=guarded).status_code == 401


def test_who_finds_no_page_is_told_how_to_build_it(ask, new_application, tmp_path):
    answer = ask("GET", "/", to=new_application(web=WebFiles(tmp_path / "none")))
    assert answer.status_code == 404
    assert "make web" in answer.text
