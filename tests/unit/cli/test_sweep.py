"""`crosszone sweep` as a person runs it."""

import json
from pathlib import Path

import pytest

from crosszone.cli import main

JOB = """
model: llama-3.2-1b
workload: {sequence_length: 2048, global_batch_size: 16, precision: bf16}
cluster: {zones: [{name: a, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2}]}]}
framework: {name: megatron}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_a_table_and_a_line_a_case(job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "out.csv"
    code = main(["sweep", str(job), "--vary", "plan.tp=1,2,3", "-o", str(table), "--workers", "1"])
    out, err = capsys.readouterr()
    assert code == 0
    assert "2 planned, 1 refused" in out
    assert "Wrote" in err
    assert len(table.read_text().splitlines()) == 4


def test_json_has_the_rows(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(job), "--vary", "plan.tp=1,2", "--workers", "1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["plan.tp"] for row in answer["rows"]] == [1, 2]
    assert answer["summary"] == {
        "num_cases": 2, "num_resumed": 0, "num_planned": 2, "num_infeasible": 0, "num_refused": 0, "num_failed": 0,
    }  # fmt: skip


def test_nothing_planned_is_3(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(job), "--vary", "model=llama-3.1-405b", "--workers", "1"]) == 3
    assert "infeasible" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--vary", "plan.tpp.x.y=1"], ["--vary", "nonsense"], ["-o", "out.txt"], ["--workers", "0"]]
)
def test_what_was_asked_wrongly_is_2(job: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["sweep", str(job), *arguments])
    # A key that no job has is told for each case, as any other mistake in a job.
    assert code in (2, 3)
    assert capsys.readouterr() != ("", "")
