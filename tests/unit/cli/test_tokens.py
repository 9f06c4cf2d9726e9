"""`crosszone tokens` and `crosszone quotas`."""

from __future__ import annotations

import json

import pytest

from crosszone import service


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "state.sqlite")


def test_a_token_is_made_listed_and_revoked(run, database):
    made = run("tokens", "create", "vision/ann", "--scope", "admin", "--expires", "90 d", "--database", database)
    text = made.out.strip()
    assert text.startswith("cz_")
    assert text not in made.err
    with service.opened_store(database) as store:
        assert service.caller(store, text).actor == "vision/ann"
    (known,) = json.loads(run("tokens", "list", "--database", database, "--json").out)["tokens"]
    assert (known["scope"], known["is_good"]) == ("admin", True)
    assert "digest" not in known
    assert known["id"] in run("tokens", "list", "--database", database).out
    assert run("tokens", "revoke", known["id"], "--database", database).code == 0
    with service.opened_store(database) as store:
        assert service.caller(store, text) is None
    assert "revoked" in run("tokens", "list", "--database", database).out
    assert run("tokens", "revoke", "token-none", "--database", database).code != 0


def test_what_is_wrong_is_told(run, database):
    refused = run("tokens", "create", "a b", "--expires", "3", "--database", database, "--json")
    assert refused.code == 2
    assert [each["where"] for each in json.loads(refused.out)["errors"]] == ["name", "expires"]
    assert run("quotas", "set", "ann", "gpus", "many", "--database", database).code == 2
    assert run("tokens").code == 2


def test_quotas_are_set_and_listed(run, database):
    assert run("quotas", "set", "vision", "gpus", "16", "--database", database).code == 0
    found = json.loads(run("quotas", "list", "--database", database, "--json").out)["quotas"]
    assert found == [{"owner": "vision", "resource": "gpus", "most": 16.0, "used": 0.0}]
    assert "vision" in run("quotas", "list", "--database", database).out
    run("quotas", "set", "vision", "gpus", "none", "--database", database)
    assert json.loads(run("quotas", "list", "--database", database, "--json").out)["quotas"] == []
