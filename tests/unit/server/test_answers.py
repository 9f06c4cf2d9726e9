from __future__ import annotations

from crosszone.server.answers import Answers, answer_key
from crosszone.server.work import JSON, Done


def done(text):
    return Done(media_type=JSON, content=text.encode())


def test_what_was_asked_is_answered_again():
    answers = Answers()
    answers.put(b"a", done("1"))
    assert answers.get(b"a").content == b"1"
    assert answers.get(b"b") is None


def test_the_order_of_keys_makes_no_other_question_but_any_value_does():
    key = answer_key("predict", {"job": {"model": "x", "plan": {"tp": 1}}, "hypothetical": False})
    assert key == answer_key("predict", {"hypothetical": False, "job": {"plan": {"tp": 1}, "model": "x"}})
    assert key != answer_key("simulate", {"hypothetical": False, "job": {"plan": {"tp": 1}, "model": "x"}})
    assert key != answer_key("predict", {"hypothetical": False, "job": {"plan": {"tp": True}, "model": "x"}})
    assert key != answer_key("predict", {"hypothetical": False, "job": {"plan": {"tp": "1"}, "model": "x"}})


def test_the_longest_unasked_is_forgotten_first_and_bytes_are_counted_once():
    answers = Answers(most_bytes=10)
    answers.put(b"a", done("aaaa"))
    answers.put(b"b", done("bbbb"))
    answers.put(b"b", done("BBBB"))
    assert answers.num_bytes == 8
    answers.get(b"a")
    answers.put(b"c", done("cccc"))
    assert answers.get(b"b") is None
    assert answers.get(b"a").content == b"aaaa"
    assert answers.num_bytes == 8


def test_an_answer_larger_than_all_is_not_kept():
    answers = Answers(most_bytes=3)
    answers.put(b"a", done("aaaa"))
    assert answers.get(b"a") is None
    assert answers.num_bytes == 0
