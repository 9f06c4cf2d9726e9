"""A report holds what the verbs answer, in a page that nothing of it breaks."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from crosszone import service, words
from crosszone.errors import PreflightFailed, SpecError
from crosszone.service import reports

PAGE = f"<!doctype html><body>{reports.OPENED}{reports.CLOSED}<p>after</p></body>"
JOB = {
    "model": "llama-3-8b",
    "workload": {"sequence_length": 8192, "global_batch_size": 64},
    "cluster": {
        "zones": [
            {"name": name, "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8}]}
            for name in ("east", "west")
        ],
        "links": [{"between": ["east", "west"], "bandwidth": "100 Gbit/s", "rtt": "30 ms"}],
    },
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "cp": 1, "microbatch_size": 1, "recompute": "none", "shard": "optimizer"},
}
TEXT = f"# Why two zones: none has more nodes.\n{json.dumps(JOB)}\n"


class Parts(HTMLParser):
    """The texts of a page by the element that they are in."""

    def __init__(self, html):
        super().__init__()
        self.element, self.texts = "", {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.element = tag

    def handle_data(self, data):
        self.texts[self.element] = self.texts.get(self.element, "") + data


def made(job, **options):
    """A report whose page is no more than it must be, and what it holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "_page", lambda file: PAGE)
        found = service.report(job, **options)
    return found, json.loads(Parts(found.html).texts["script"])


@pytest.fixture(scope="module")
def content():
    report, content = made(service.open_job(TEXT), chosen=2)
    assert report.has_plan
    return content


def answers(content, path, *keys):
    """The answers to requests that say `keys` beside the job."""
    found = [each for each in content["answers"] if each["path"] == f"/api/v1/{path}"]
    return [each for each in found if {*each["body"]} == {"job", *keys}]


def without_times(value):
    return {**value, "search": None, "sensitivity": None}


def test_no_text_ends_the_element_that_it_is_in():
    content = {"text": "</script><script>alert(1)</script><!-- \u2028 & 可用区"}
    parts = Parts(reports.filled(PAGE, content))
    assert json.loads(parts.texts["script"]) == content
    assert parts.texts["p"] == "after"


def test_it_holds_what_the_verbs_answer(content):
    problem = service.read(JOB)
    answer = service.plan(problem)
    plan = answer.plans[1].plan
    (planned,) = answers(content, "plan", "top")
    assert without_times(planned["answer"]) == without_times(service.answer_json(answer))
    assert planned["answer"]["sensitivity"]
    (changes,) = answers(content, "whatif", "plan")
    assert changes["body"] == {"job": JOB, "plan": service.plan_json(plan)}
    assert changes["answer"] == service.whatif_json(service.whatif(JOB, plan=plan))
    (ranks,) = answers(content, "ranks", "plan", "zone")
    assert ranks["answer"] == service.rank_map_json(service.rank_map(problem, plan, zone="east"))
    (step,) = answers(content, "simulate", "plan", "detail")
    assert step["body"]["detail"] == content["most_slices"]
    assert step["answer"]["step_seconds"] == answer.plans[1].prediction.step_seconds


def test_it_weighs_one_kind_of_parallelism_alone_whatever_the_job_fixes(content):
    asked = answers(content, "plan", "why")
    assert [each["body"]["why"] for each in asked] == ["tp=1,pp=1,cp=1,ep=1", "dp=1"]
    free = {key: value for key, value in JOB.items() if key != "plan"}
    for each in asked:
        assert each["body"]["job"] == free
        assert each["answer"] == service.why_json(service.why(service.read(free), each["body"]["why"]))


def test_its_sentences_are_there_in_chinese_too(content):
    for each in content["answers"]:
        told = each["answer"]
        for sentence in each["chinese"]:
            *way, last = sentence["place"]
            inner = told
            for part in way:
                inner = inner[part]
            inner[last] = sentence["text"]
        assert told == words.translated(told, "zh")
    assert any(each["chinese"] for each in content["answers"])


def test_the_job_file_keeps_its_comments(content):
    assert content["text"] == TEXT
    assert content["job"] == JOB


def test_a_plan_that_is_not_ranked_is_refused():
    with pytest.raises(SpecError, match=r"plan 9 is not there: the last of the ranked is \d"):
        made(JOB, chosen=9)


def test_where_nothing_fits_it_says_why():
    report, content = made({**JOB, "model": "llama-3.1-405b"})
    assert not report.has_plan
    (planned,) = content["answers"]
    assert planned["answer"]["plans"] == []


def test_without_its_page_it_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(reports, "PAGE", "elsewhere.html")
    with pytest.raises(PreflightFailed, match="make web"):
        service.report(JOB)
