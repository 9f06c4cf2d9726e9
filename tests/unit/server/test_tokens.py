"""Tokens of the database: who may do what, until when, and how much of it."""

from __future__ import annotations

import pytest

from crosszone import service
from crosszone.core.access import ADMIN, OPERATOR, VIEWER
from crosszone.errors import SpecError
from crosszone.server import callers
from crosszone.server.access import Access, access
from crosszone.server.openapi import TOLD
from crosszone.server.options import ServeOptions
from crosszone.server.verbs import VERBS

TOKENS, QUOTAS, ENVIRONMENTS = "/api/v1/tokens", "/api/v1/quotas", "/api/v1/environments"
ASKED = Access(is_token_asked=True, host_names=None)
CHANGES = ("POST", "PUT", "PATCH", "DELETE")
OPEN_TO_VIEWERS = {"environment_cluster", "environment_paths", "operation_cancel", "task_examine"}
"""Routes with a method of changes that change nothing which is kept."""


@pytest.fixture
def store(tmp_path):
    found = service.open_store(str(tmp_path / "state.sqlite"))
    yield found
    found.close()


@pytest.fixture
def server(new_application, store, monkeypatch):
    monkeypatch.setattr(callers, "REMEMBERED_SECONDS", 0.0)
    return new_application(ASKED, store=store)


@pytest.fixture
def admin(store):
    return service.issue_token(store, {"name": "root", "scope": ADMIN}).text


@pytest.fixture
def call(ask, server, admin):
    def send(method, path, body=None, token=admin):
        more = {} if body is None else {"json": body}
        return ask(method, path, to=server, headers={"Authorization": f"Bearer {token}"}, **more)

    return send


def test_a_token_of_the_database_opens_the_server_until_it_is_revoked(call, ask, server):
    assert ask("GET", ENVIRONMENTS, to=server).status_code == 401
    made = call("POST", TOKENS, {"name": "vision/ann", "scope": OPERATOR, "expires": "90 d"})
    assert made.status_code == 201
    text, known = made.json()["text"], made.json()["token"]
    assert (known["name"], known["scope"], known["is_good"]) == ("vision/ann", OPERATOR, True)
    assert known["expires_seconds"] - known["created_seconds"] == pytest.approx(90 * 86400)
    assert call("GET", ENVIRONMENTS, token=text).status_code == 200
    who = call("GET", "/api/v1/access", token=text).json()
    assert (who["actor"], who["scope"]) == ("vision/ann", OPERATOR)
    assert call("DELETE", f"{TOKENS}/{known['id']}").status_code == 204
    assert call("GET", ENVIRONMENTS, token=text).status_code == 401
    listed = {each["name"]: each["is_good"] for each in call("GET", TOKENS).json()["tokens"]}
    assert listed == {"root": True, "vision/ann": False}
    assert call("DELETE", f"{TOKENS}/token-none").status_code == 404


def test_where_no_token_is_needed_one_that_is_shown_must_be_good(ask, new_application, store, monkeypatch):
    monkeypatch.setattr(callers, "REMEMBERED_SECONDS", 0.0)
    server = new_application(Access(), store=store)
    made = service.issue_token(store, {"name": "ann", "scope": VIEWER})

    def who(**headers):
        return ask("GET", "/api/v1/access", to=server, headers=headers)

    assert who().json()["actor"] == "local"
    assert who(Authorization=f"Bearer {made.text}").json()["actor"] == "ann"
    service.revoke_token(store, made.token.id)
    for text in (made.text, "nope"):
        assert who(Authorization=f"Bearer {text}").status_code == 401


def test_a_bare_number_is_not_taken_for_seconds(call):
    (error,) = call("POST", TOKENS, {"name": "ann", "expires": "90"}).json()["errors"]
    assert (error["where"], error["code"], error["hint"]) == ("expires", "no_unit", 'Write how long, as "90 d".')


def test_a_token_runs_out(call, store, monkeypatch):
    text = call("POST", TOKENS, {"name": "ann", "expires": "10 s"}).json()["text"]
    assert call("GET", ENVIRONMENTS, token=text).status_code == 200
    later = service.access.time.time() + 11.0
    monkeypatch.setattr(service.access.time, "time", lambda: later)
    assert call("GET", ENVIRONMENTS, token=text).status_code == 401


def test_a_token_is_kept_nowhere(call, store, tmp_path):
    text = call("POST", TOKENS, {"name": "ann"}).json()["text"]
    store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ann" in kept
    assert text.encode() not in kept


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [(VIEWER, [200, 403, 403, 403]), (OPERATOR, [200, 201, 403, 403]), (ADMIN, [200, 201, 200, 200])],
)
def test_each_scope_may_do_what_those_before_it_may(call, scope, allowed):
    text = call("POST", TOKENS, {"name": "ann", "scope": scope}).json()["text"]
    answers = [
        call("GET", ENVIRONMENTS, token=text),
        call("POST", ENVIRONMENTS, {"name": "a", "zone": "east"}, token=text),
        call("PUT", QUOTAS, {"owner": "ann", "resource": "gpus", "most": 1}, token=text),
        call("GET", "/api/v1/audit", token=text),
    ]
    assert [answer.status_code for answer in answers] == allowed
    refused = next((answer.json() for answer in answers if answer.status_code == 403), None)
    if refused:
        assert refused["type"] == "urn:crosszone:problem:forbidden"
        assert f"ann may do what a {scope} may" in refused["detail"]


def test_no_route_that_changes_something_is_open_to_viewers(server):
    """Whoever adds a route is asked who may use it."""
    verbs = {verb.name for verb in VERBS}
    routes = [route for route in server.app.routes if set(getattr(route, "methods", ())) & set(CHANGES)]
    open_ones = {route.name for route in routes if route.name not in verbs and TOLD[route.name].scope == VIEWER}
    assert open_ones == OPEN_TO_VIEWERS


def test_the_audit_log_names_who_did_it(call):
    text = call("POST", TOKENS, {"name": "vision/ann", "scope": OPERATOR}).json()["text"]
    call("POST", ENVIRONMENTS, {"name": "a", "zone": "east"}, token=text)
    entries = call("GET", "/api/v1/audit").json()["entries"]
    assert [(each["actor"], each["action"]) for each in entries] == [
        ("vision/ann", "environment_add"),
        ("root", "token_create"),
    ]
    assert entries[1]["target"] == "vision/ann operator"
    older = call("GET", f"/api/v1/audit?before={entries[0]['sequence']}").json()["entries"]
    assert [each["sequence"] for each in older] == [entries[1]["sequence"]]
    assert text not in str(entries)


def test_everything_that_is_wrong_is_told_at_once(call):
    wrong = call("POST", TOKENS, {"name": "a b", "scope": "king", "expires": "-1 s", "colour": 1}).json()
    assert [each["pointer"] for each in wrong["errors"]] == ["/colour", "/name", "/scope", "/expires"]
    for name in ("local", "server", "token-abc", "a/b/c", "", None):
        assert call("POST", TOKENS, {"name": name}).status_code == 422
    wrong = call("PUT", QUOTAS, {"owner": "", "resource": "gold", "most": -1}).json()
    assert [each["pointer"] for each in wrong["errors"]] == ["/owner", "/resource", "/most"]
    # what was refused is no target of the audit log, whatever it was called
    assert call("GET", "/api/v1/audit").json()["entries"] == []


def test_quotas_are_set_listed_and_taken_away(call):
    call("PUT", QUOTAS, {"owner": "vision", "resource": "gpus", "most": 16})
    found = call("PUT", QUOTAS, {"owner": "vision", "resource": "tasks", "most": 2}).json()
    assert found == call("GET", QUOTAS).json()
    assert [(each["resource"], each["most"], each["used"]) for each in found["quotas"]] == [
        ("gpus", 16.0, 0.0),
        ("tasks", 2.0, 0.0),
    ]
    left = call("PUT", QUOTAS, {"owner": "vision", "resource": "gpus", "most": None}).json()
    assert [each["resource"] for each in left["quotas"]] == ["tasks"]


def test_a_token_of_the_database_lets_the_server_be_reached_by_others():
    exposed = ServeOptions(host="0.0.0.0", is_behind_proxy=True)
    assert access(exposed, has_stored_token=True).is_token_needed
    with pytest.raises(SpecError) as caught:
        access(exposed)
    assert "crosszone tokens create" in caught.value.findings[0].hint
    with pytest.raises(SpecError, match="none that anybody could show"):
        access(ServeOptions(is_token_asked=True))
    assert access(ServeOptions(is_token_asked=True), has_stored_token=True).nobody() is None
