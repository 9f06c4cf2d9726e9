"""Every template of `crosszone init`: it is a job, it plans, and what it says in its comments is true."""

import re
from pathlib import Path

import pytest

from crosszone import service

ROOT = Path(__file__).parents[2]
CASES = ("small", "medium", "large", "very-large", "gpt", "llama-2-7b-fine-tune", "bert-large-pre-train", "gpt3-175b")


@pytest.fixture(params=service.job_templates(), ids=lambda one: one.name, scope="module")
def template(request: pytest.FixtureRequest) -> service.JobTemplate:
    found: service.JobTemplate = request.param
    return found


def test_no_scenario_is_missing() -> None:
    assert {one.name for one in service.job_templates()} == set(CASES)


def test_it_plans_without_a_warning_of_the_reader(template) -> None:
    problem = service.read_text(template.text)
    assert not problem.warnings
    answer = service.plan(problem, top=1)
    assert answer.plans, answer.verdict
    assert all(check.verdict != "fail" for check in answer.plans[0].checks)


def test_title_counts_its_gpus_and_nodes(template) -> None:
    problem = service.read_text(template.text)
    groups = [group for zone in problem.cluster.zones for group in zone.node_groups]
    (num_nodes,) = re.findall(r"(\d+) nodes?", template.title)
    assert int(num_nodes) == sum(group.num_nodes for group in groups)
    counted = [int(number) for number in re.findall(r"(\d+) GPUs", template.title)]
    per_node = {group.gpus_per_node for group in groups}
    assert problem.cluster.num_gpus in counted or set(counted) == per_node
    assert template.text.startswith(f"# {template.title}.\n")


def test_reference_lists_it(template) -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert f"| `{template.name}` |" in page


def test_use_cases_say_why_the_plain_way_does_not_fit() -> None:
    """LLaMA2-7B replicated on two GPUs and GPT-3 175B unsharded on 64 lack memory; the templates' numbers are those."""
    tuned = service.job_template("llama-2-7b-fine-tune").text
    plain = service.read_text(tuned.replace("fsdp", "ddp").replace("shard: parameters", "shard: none"))
    memory = service.predict(plain).prediction.memory
    (stage,) = memory.stages
    assert not memory.fits
    assert stage.weight_bytes + stage.gradient_bytes + stage.optimizer_bytes == pytest.approx(108e9, rel=0.01)
    trained = service.job_template("gpt3-175b").text
    whole = service.predict(service.read_text(trained.replace("shard: optimizer", "shard: none"))).prediction.memory
    fullest = max(whole.stages, key=lambda one: one.total_bytes)
    assert not whole.fits
    assert fullest.weight_bytes + fullest.gradient_bytes + fullest.optimizer_bytes == pytest.approx(99e9, rel=0.01)
    fits = service.predict(service.read_text(trained)).prediction.memory
    assert fits.fits
    assert fits.peak_bytes == pytest.approx(72e9, rel=0.01)
