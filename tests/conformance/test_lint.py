"""Every rule of good practice: it speaks, its fixes can be set, and the reference lists it."""

import copy
import re
import time
from pathlib import Path

import pytest

from crosszone import service
from crosszone.core.check import VERDICTS
from crosszone.errors import SpecError
from crosszone.planner.lint import checks, rules
from crosszone.planner.lint.rule import Rule

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
NOT_A_KEY = ("unknown_key", "missing_key", "unknown_zone", "unknown_name", "wrong_type", "no_unit", "bad_quantity")


def job(*zones: dict, **more) -> dict:
    """A job file over such zones, each a node group."""
    names = ("north", "south", "west")
    cluster: dict = {"zones": [{"name": name, "nodes": [zone]} for name, zone in zip(names, zones, strict=False)]}
    if len(zones) > 1:
        cluster["default_link"] = {"bandwidth": "10 Gbit/s", "rtt": "20 ms"}
    return {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 2048, "global_batch_size": 64},
        "cluster": cluster,
        **more,
    }


A100 = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, "network": "4x200 Gbit/s"}
V100 = {"count": 1, "gpu": "v100-sxm2-32gb", "gpus_per_node": 8, "network": "100 Gbit/s"}
SHARES = [{"zones": [zone], "num_replicas": 8, "num_microbatches": 4} for zone in ("north", "south")]
BAD_JOBS = (
    job(A100, V100, plan={"tp": 8, "pp": 2, "dp": 1}),
    job(A100, V100, model="opt-350m", framework={"name": "horovod"}, plan={"microbatch_size": 1, "replicas": SHARES}),
    job(A100, framework={"name": "ddp"}, plan={"tp": 1, "pp": 1, "dp": 8}),
    job(A100, A100, framework={"name": "fsdp"}, plan={"tp": 1, "pp": 1, "dp": 16, "shard": "parameters"}),
    job(A100, plan={"tp": 1, "pp": 8, "dp": 1, "microbatch_size": 16, "recompute": "full"}),
    job({**A100, "price": "2 USD/h"}, {**A100, "price": "2 USD/h"}, plan={"tp": 8, "pp": 2, "dp": 1}),
)
"""Each breaks a few rules."""


@pytest.fixture(params=rules(), ids=lambda rule: rule.name)
def rule(request: pytest.FixtureRequest) -> Rule:
    found: Rule = request.param
    return found


@pytest.fixture(scope="session")
def judged() -> list[tuple[dict, service.CatalogEntry]]:
    """Plans of many kinds with their jobs."""
    from crosszone.spec import open_job

    sources = [open_job(str(path)).source.value for path in EXAMPLES] + list(BAD_JOBS)
    return [(source, service.predict(service.read(copy.deepcopy(source)))) for source in sources]


def test_names_are_unique_and_rules_say_what_they_are(rule) -> None:
    assert [one.name for one in rules()].count(rule.name) == 1
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", rule.name)
    assert rule.source
    assert rule.about
    assert not rule.about.endswith(".")


def test_reference_lists_the_rule(rule) -> None:
    page = (ROOT / "docs/reference/checks.md").read_text(encoding="utf-8")
    assert f"| `{rule.name}` | {rule.about} | {rule.source} |" in page
    assert len(re.findall(r"^\| `\w+` \|", page, re.MULTILINE)) == len(rules())


def test_rule_says_something_of_some_plan(rule, judged) -> None:
    said = {check.name for _, ranked in judged for check in ranked.checks}
    seldom = {"host_memory"}  # nothing here is offloaded or staged; it has its own test
    assert rule.name in said | seldom


def test_what_is_wrong_has_numbers_and_a_fix(judged) -> None:
    for _, ranked in judged:
        for check in ranked.checks:
            assert check.verdict in VERDICTS
            assert check.message.endswith("."), check
            assert bool(check.fix) == (check.verdict != "pass"), check
            if check.verdict != "pass":
                assert re.search(r"\d", check.message), check
                assert check.fix.endswith("."), check
            assert not re.search(r"\bnan\b|\binf\b|None", check.message), check


def test_settings_are_keys_and_values_of_a_job_file(judged) -> None:
    """What a fix sets may not work together with what else is fixed, but each key and value exists."""
    for source, ranked in judged:
        for check in ranked.checks:
            assert not [code for code in refusals(source, check.settings) if code in NOT_A_KEY], check


def refusals(source: dict, settings: tuple[str, ...]) -> list[str]:
    """Codes of all that is wrong with a job in which these are set."""
    try:
        service.changed_problem(copy.deepcopy(source), settings)
    except SpecError as error:
        return [finding.code for finding in error.findings]
    return []


def test_gravest_comes_first(judged) -> None:
    for _, ranked in judged:
        ranks = [VERDICTS.index(check.verdict) for check in ranked.checks]
        assert ranks == sorted(ranks, reverse=True)


def test_checks_take_no_time(judged) -> None:
    problems = [(service.read(copy.deepcopy(source)), ranked) for source, ranked in judged]
    for problem, ranked in problems:
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            checks(problem, ranked)
            seconds.append(time.perf_counter() - started)
        assert min(seconds) < 0.05, seconds  # 15 ms on an idle machine
