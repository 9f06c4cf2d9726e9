"""`crosszone replan` as a person runs it."""

import json
from pathlib import Path

import pytest

from crosszone.cli import main

JOB = """
model: llama-3.2-1b
workload: {sequence_length: 2048, global_batch_size: 64, precision: bf16, train_tokens: 10B}
cluster:
  zones:
    - {name: a, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
    - {name: b, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
  links: [{between: [a, b], bandwidth: 400 Gbit/s, rtt: 1 ms}]
framework: {name: megatron}
"""


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    job, plans = tmp_path / "job.yaml", tmp_path / "plans.json"
    job.write_text(JOB)
    assert main(["plan", str(job), "-o", str(plans)]) == 0
    capsys.readouterr()
    return str(job), str(plans)


def test_a_degraded_link(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job, plans = files
    saved = tmp_path / "next.json"
    code = main(["replan", job, "--plan", plans, "--set", "links.*.bandwidth=20 Mbit/s", "-o", str(saved)])
    out = capsys.readouterr().out
    assert code == 0
    assert "Move" in out
    best = json.loads(saved.read_text())["plans"][0]
    assert best["move"]["total_seconds"] > 0.0
    # What it wrote is a plan file like any other.
    assert main(["whatif", job, "--plan", f"{saved}#1", "--json"]) == 0


def test_a_lost_zone_as_json(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    job, plans = files
    lost = ["--set", "constraints.exclude_zones=[b]", "--torn-off", "--remaining", "1B", "--json"]
    assert main(["replan", job, "--plan", plans, *lost]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["impossible"]
    assert answer["remaining_tokens"] == 1e9
    assert {tuple(replica["zones"]) for replica in answer["plans"][0]["plan"]["replicas"]} <= {("a",) * 1, ("a",) * 2}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--remaining", "many"], 2),
        (["--remaining", "20B"], 2),
        (["--set", "links.*.bandwith=1 Gbit/s"], 2),
        (["--set", "model=llama-3.1-405b"], 2),
        (["--set", "workload.sequence_length=8388608"], 3),
    ],
)
def test_what_cannot_be(
    files: tuple[str, str], arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    job, plans = files
    assert main(["replan", job, "--plan", plans, *arguments]) == code
    assert capsys.readouterr() != ("", "")
