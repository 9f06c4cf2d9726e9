"""A request that is repeated gets the answer that it got, and changes nothing again."""

from __future__ import annotations

import pytest

from crosszone.errors import Conflict
from crosszone.store import answers
from crosszone.store.answers import KEPT_SECONDS, Answer, request_digest

ANSWER = Answer(status=201, headers={"Location": "/api/v1/training-tasks/task-1"}, body='{"名": 1}')
DIGEST = request_digest("POST", "/api/v1/training-tasks", {"taskName": "a", "b": [1, 2.5]})


def test_a_repeated_request_gets_its_answer(database):
    with database.writing() as connection:
        assert answers.kept(connection, "ann", "k", DIGEST, now_seconds=0.0) is None
        answers.keep(connection, "ann", "k", DIGEST, ANSWER, now_seconds=0.0)
    with database.reading() as connection:
        assert answers.kept(connection, "ann", "k", DIGEST, now_seconds=KEPT_SECONDS) == ANSWER
        assert answers.kept(connection, "bob", "k", DIGEST, now_seconds=0.0) is None
        assert answers.kept(connection, "ann", "k", DIGEST, now_seconds=KEPT_SECONDS + 1) is None


def test_a_key_that_came_with_another_request_is_refused(database):
    with database.writing() as connection:
        answers.keep(connection, "ann", "k", DIGEST, ANSWER, now_seconds=0.0)
        other = request_digest("POST", "/api/v1/training-tasks", {"taskName": "b"})
        with pytest.raises(Conflict, match="came with another request") as caught:
            answers.kept(connection, "ann", "k", other, now_seconds=1.0)
    assert caught.value.findings[0].code == "key_reused"


def test_old_answers_are_dropped_and_their_keys_free(database):
    with database.writing() as connection:
        answers.keep(connection, "ann", "old", DIGEST, ANSWER, now_seconds=0.0)
        answers.keep(connection, "ann", "new", DIGEST, ANSWER, now_seconds=KEPT_SECONDS + 1)
        assert answers.kept(connection, "ann", "old", DIGEST, now_seconds=0.0) is None


def test_the_same_request_is_known_however_it_is_written():
    assert request_digest("POST", "/x", {"a": 1, "b": 2}) == request_digest("POST", "/x", {"b": 2, "a": 1})
    different = [
        ("POST", "/x", {"a": 1}),
        ("POST", "/x", {"a": "1"}),
        ("PUT", "/x", {"a": 1}),
        ("POST", "/y", {"a": 1}),
    ]
    assert len({request_digest(*each) for each in different}) == 4
