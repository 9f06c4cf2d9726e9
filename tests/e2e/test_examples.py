"""Every example runs through the real program, and prints what its .out file shows."""

import importlib.util
import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
JOBS = sorted(EXAMPLES.glob("*.yaml"))


def _load_refresh():
    spec = importlib.util.spec_from_file_location("refresh", EXAMPLES / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = _load_refresh()
INFEASIBLE = {"use-case-llama-2-7b-ddp", "use-case-gpt3-175b-as-written"}


def test_there_are_examples() -> None:
    assert len(JOBS) >= 9
    assert {job.stem for job in JOBS} >= INFEASIBLE


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_plans_or_is_infeasible(job: Path) -> None:
    done = refresh.run(["plan", str(job.relative_to(EXAMPLES.parent)), "--json"])
    assert done.returncode == (3 if job.stem in INFEASIBLE else 0), done.stdout + done.stderr
    assert done.stderr == ""
    value = json.loads(done.stdout)
    if done.returncode == 0:
        steps = [ranked["prediction"]["step_seconds"] for ranked in value["plans"]]
        assert steps
        assert all(ranked["prediction"]["memory"]["fits"] for ranked in value["plans"])
    else:
        assert value.get("errors") or (value["plans"] == [] and value["verdict"])


@pytest.mark.generated
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_prints_what_its_out_file_shows(job: Path) -> None:
    assert refresh.commands(job), "say in the comments how to run it"
    shown = job.with_suffix(".out").read_text(encoding="utf-8")
    assert refresh.output(job) == shown, "refresh with: python examples/refresh.py"


def test_no_out_file_without_its_job() -> None:
    assert {out.stem for out in EXAMPLES.glob("*.out")} == {job.stem for job in JOBS}


@pytest.mark.generated
@pytest.mark.parametrize("name", refresh.READMES)
def test_readmes_show_a_real_output(name) -> None:
    assert refresh.readme_block() in (EXAMPLES.parent / name).read_text(encoding="utf-8")
