"""What the examples' answers say is all known in Chinese."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from crosszone.errors import CrossZoneError
from crosszone.server.work import VERBS
from crosszone.words import translated
from crosszone.words.answers import KEYS
from crosszone.words.template import is_phrase

EXAMPLES = Path(__file__).parents[3] / "examples"
CODES = {"does not fit"}
"""Under keys of sentences: for programs."""
LARGE = ("three-zones-china", "two-gcp-regions", "uneven-2-4-8")
QUOTED = re.compile(r"（[^）]*）|\[[^\]]*\]|`[^`]*`|\"[^\"]*\"")
"""Sources, commands and what a person wrote, in the words that they have."""

OWN_DEGREES = {
    "model": "gpt2-xl",
    "workload": {"sequence_length": 1024, "global_batch_size": 12},
    "cluster": {
        "zones": [
            {"name": "a", "nodes": [{"count": 1, "gpu": "h100-sxm5-80gb", "gpus_per_node": 1}]},
            {"name": "b", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]},
        ],
        "default_link": {"bandwidth": "1 Gbit/s", "rtt": "50 ms"},
    },
    "framework": {"name": "fsdp"},
    "plan": {
        "microbatch_size": 1,
        "shard": "parameters",
        "sync": {"method": "diloco", "every": 10},
        "replicas": [
            {"zones": ["a"], "num_replicas": 1, "num_microbatches": 4, "own": {"microbatch_size": 2, "dp_shard": 1}},
            {"zones": ["b"], "num_replicas": 2, "num_microbatches": 2, "own": {"dp_shard": 2}},
        ],
    },
    "constraints": {"allow": ["local_sgd"]},
}
"""Zones that step by themselves and divide their work each in its own way."""

QUESTIONS = {
    "predict": ("predict", {}),
    "whatif": ("whatif", {}),
    "plan": ("plan", {"sensitivity": True}),
    "frameworks": ("plan", {"frameworks": True}),
    "why": ("plan", {"why": "tp=8,pp=2"}),
}


def texts(value, key=""):
    """Of all keys that hold sentences."""
    if isinstance(value, dict):
        return [text for name, each in value.items() for text in texts(each, name)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts(each, key)]
    return [value] if key in KEYS and isinstance(value, str) else []


def english_left(value) -> set[str]:
    found = set(texts(translated(value, "zh"))) - CODES
    return {text for text in found if is_phrase(QUOTED.sub("", text))}


def asked(verb, **request):
    return VERBS[verb](request, lambda fraction: None)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.stem, marks=[pytest.mark.soak] if path.stem in LARGE else [])
        for path in sorted(EXAMPLES.glob("*.yaml"))
    ],
)
def test_examples(name, question):
    verb, more = QUESTIONS[question]
    answer = asked(verb, job=(EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"), **more)
    assert not english_left(answer)


@pytest.mark.parametrize("verb", ["templates", "doctor"])
def test_what_is_asked_without_a_job(verb):
    assert not english_left(asked(verb))


def test_every_step_of_the_guide():
    given = {"gpu": "h100-sxm5-80gb", "zones": "2", "nodes_1": "1", "nodes_2": "1"}
    answers: list[str] = []
    while (told := asked("guide", answer=answers))["question"] is not None:
        assert not english_left(told)
        key = told["question"]["key"]
        answers.append(f"{key}={given.get(key, '')}")
    assert not english_left(told)


@pytest.mark.parametrize("framework", ["ddp", "fsdp", "megatron", "torchtitan"])
@pytest.mark.parametrize("backend", ["local", "slurm", "kubernetes", "skypilot"])
def test_bundles(framework, backend):
    job = (EXAMPLES / "single-zone-llama-3-8b-8xh100.yaml").read_text(encoding="utf-8")
    try:
        answer = asked("deploy", job=job, framework=framework, backend=backend)
    except CrossZoneError as error:
        answer = [asdict(finding) for finding in error.findings]
    assert not english_left(answer)


def test_zones_of_their_own_degrees():
    job = dict(OWN_DEGREES)
    assert not english_left(asked("predict", job=job))
    for framework, sequences, sync in (
        ("torchtitan", 12, {}),
        ("fsdp", 12, {"method": "hierarchical"}),
        ("fsdp", 13, {}),
    ):
        job["framework"] = {"name": framework}
        job["workload"] = {"sequence_length": 1024, "global_batch_size": sequences}
        job["plan"] = OWN_DEGREES["plan"] | {"sync": {"method": "diloco", "every": 10} | sync}
        with pytest.raises(CrossZoneError) as caught:
            asked("predict", job=job)
        assert not english_left([asdict(finding) for finding in caught.value.findings])


def test_mistakes_of_a_job_file():
    job = (EXAMPLES / "single-zone-llama-3-8b-8xh100.yaml").read_text(encoding="utf-8")
    job = job.replace("count: 1", "count: -1").replace("shard: parameters", "shard: all").replace("llama-3-8b", "llama")
    with pytest.raises(CrossZoneError) as caught:
        asked("predict", job=job)
    assert len(caught.value.findings) > 1
    assert not english_left([asdict(finding) for finding in caught.value.findings])
