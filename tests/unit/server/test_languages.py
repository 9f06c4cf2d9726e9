from __future__ import annotations

import re

import pytest

ZH = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
HAN = re.compile(r"[一-鿿]")


def numbers(value):
    """Everything but texts, in its order."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from numbers(each)
    elif isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif not isinstance(value, str):
        yield value


def test_an_answer_is_in_the_language_that_is_asked_for(post, example):
    body = {"job": example}
    before, chinese, after = (post("predict", body, headers=headers) for headers in ({}, ZH, {}))
    assert before.content == after.content
    assert chinese.headers["content-language"] == "zh"
    assert before.headers["content-language"] == "en"
    assert all(answer.headers["vary"] == "Accept-Language" for answer in (before, chinese))
    assert HAN.search(" ".join(chinese.json()["assumed"]))
    assert not HAN.search(before.text)
    assert list(numbers(chinese.json())) == list(numbers(before.json()))


def test_verdicts_of_memory_stay_codes(post, example):
    assert post("predict", {"job": example}, headers=ZH).json()["memory"]["verdict"] == "fits"


@pytest.mark.parametrize("first", [{}, ZH])
def test_what_is_kept_by_its_tag_is_of_one_language(ask, first):
    second = ZH if not first else {}
    tag = ask("GET", "/api/v1/templates", headers=first).headers["etag"]
    assert ask("GET", "/api/v1/templates", headers={**first, "If-None-Match": tag}).status_code == 304
    assert ask("GET", "/api/v1/templates", headers={**second, "If-None-Match": tag}).status_code == 200


def test_a_problem_tells_all_its_errors_in_chinese(post, example):
    job = example.replace("global_batch_size: 128", "global_batch_size: 0")
    answers = [post("predict", {"job": job}, headers=headers) for headers in ({}, ZH)]
    assert {answer.status_code for answer in answers} == {422}
    english, chinese = (answer.json() for answer in answers)
    assert len(english["errors"]) == len(chinese["errors"])
    assert [error["where"] for error in english["errors"]] == [error["where"] for error in chinese["errors"]]
    assert not HAN.search(str(english))
    assert HAN.search(chinese["detail"])
    assert all(HAN.search(error["message"]) for error in chinese["errors"])


def test_the_schema_explains_every_key_in_chinese(ask):
    schema = ask("GET", "/api/v1/schema", headers=ZH).json()
    keys = [key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {}).items()]
    assert len(keys) > 150
    assert not [name for name, key in keys if "description" in key and not HAN.search(key["description"])]
