"""Sweeps: which cases there are, what a row says, what survives a stop, and who does the work."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosszone import service
from crosszone.errors import PreflightFailed, SpecError
from crosszone.spec import open_job, open_job_text
from crosszone.sweeps.cases import cases, variation
from crosszone.sweeps.journal import Journal
from crosszone.sweeps.row import COLUMNS, answered
from crosszone.sweeps.table_file import write_table

JOB = """
model: llama-3.2-1b
workload: {sequence_length: 2048, global_batch_size: 16, precision: bf16}
cluster:
  zones:
    - {name: a, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2}]}
    - {name: b, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2}]}
  links: [{between: [a, b], bandwidth: 10 Gbit/s, rtt: 5 ms}]
framework: {name: megatron}
"""
SPEEDS = "links.*.bandwidth=1 Gbit/s,100 Gbit/s"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TestCases:
    def test_every_combination_the_last_variation_fastest(self) -> None:
        found = cases([("j", open_job_text(JOB))], [variation(SPEEDS), variation("plan.tp=1,2")])
        assert [case.varied for case in found] == [
            (("links.*.bandwidth", speed), ("plan.tp", tp)) for speed in ("1 Gbit/s", "100 Gbit/s") for tp in (1, 2)
        ]
        assert found[1].value["plan"] == {"tp": 2}

    def test_a_list_in_brackets_is_one_value(self) -> None:
        assert variation("constraints.exclude_zones=[a],[a, b]").values == (["a"], ["a", "b"])

    def test_keys_that_a_job_lacks_are_told_all_at_once(self) -> None:
        with pytest.raises(SpecError) as raised:
            cases([("j", open_job_text(JOB))], [variation("links[a,z].rtt=1 ms"), variation("zones.q.uplink=1 Gbit/s")])
        assert "z" in str(raised.value)
        assert "q" in str(raised.value)
        assert all(finding.where.startswith("j: ") for finding in raised.value.findings)

    @pytest.mark.parametrize("text", ["plan.tp", "plan.tp=", "=1", "plan.tp=1,1"])
    def test_what_is_no_variation(self, text: str) -> None:
        with pytest.raises(SpecError):
            variation(text)

    def test_equal_cases_have_equal_fingerprints(self) -> None:
        files = [("j", open_job_text(JOB))]
        one, other = (cases(files, [variation(SPEEDS)]) for _ in range(2))
        assert [case.fingerprint for case in one] == [case.fingerprint for case in other]
        assert one[0].fingerprint != one[1].fingerprint


class TestRow:
    def test_it_says_what_plan_says(self, job: Path) -> None:
        row = answered(cases([("j", open_job(job))], [])[0])
        best = service.plan(service.read(job)).plans[0]
        assert row["step_seconds"] == best.prediction.step_seconds
        assert (row["tp"], row["pp"], row["dp"]) == (best.plan.tp, best.plan.pp, best.plan.dp)
        assert row["speedup_ratio"] == row["one_zone_step_seconds"] / row["step_seconds"]
        assert list(row) == ["job", *COLUMNS]

    @pytest.mark.parametrize(
        ("setting", "status"),
        [
            ("plan.tp=3", "refused"),
            ("framework.name=nothing", "refused"),
            ("model=llama-3.1-405b", "infeasible"),
        ],
    )
    def test_a_case_that_has_no_plan_says_why(self, setting: str, status: str) -> None:
        row = answered(cases([("j", open_job_text(JOB))], [variation(setting)])[0])
        assert row["status"] == status
        assert row["message"]
        assert row["step_seconds"] is None

    def test_more_bandwidth_is_never_slower(self) -> None:
        varied = variation("links.*.bandwidth=" + ",".join(f"{speed} Gbit/s" for speed in (0.1, 1, 10, 100)))
        seconds = [answered(case)["step_seconds"] for case in cases([("j", open_job_text(JOB))], [varied])]
        assert seconds == sorted(seconds, reverse=True)


class TestTable:
    def test_text_that_a_spreadsheet_takes_for_a_formula(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        write_table(path, [{"job": "=1+1", "step_seconds": -1.5, "mfu": None, "@SUM(1)": 2}])
        assert rows_of(path) == [{"job": "'=1+1", "step_seconds": "-1.5", "mfu": "", "'@SUM(1)": "2"}]

    def test_parquet_keeps_numbers_and_the_unknown(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "t.parquet"
        rows = [{"job": "a", "tp": 1, "mfu": 0.5, "x": "1"}, {"job": "b", "tp": None, "mfu": 1, "x": [2]}]
        write_table(path, rows)
        found = parquet.read_table(path).to_pylist()
        assert found == [{"job": "a", "tp": 1, "mfu": 0.5, "x": "1"}, {"job": "b", "tp": None, "mfu": 1.0, "x": "[2]"}]

    def test_only_formats_that_it_writes(self, job: Path, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match=r"\*\.csv"):
            service.sweep([job], output=tmp_path / "t.xlsx")


class TestJournal:
    def test_a_line_that_was_cut_off_counts_as_not_there(self, job: Path, tmp_path: Path) -> None:
        one, two = cases([("j", open_job(job))], [variation(SPEEDS)])
        table = tmp_path / "t.csv"
        with Journal(table, "1") as journal:
            journal.add(one, {"status": "planned"})
        with journal.path.open("a") as file:
            file.write('{"version": "1", "fingerprint": "' + two.fingerprint)
        with Journal(table, "1") as journal:
            journal.add(two, {"status": "refused"})
        assert Journal(table, "1").finished() == {
            one.fingerprint: {"status": "planned"},
            two.fingerprint: {"status": "refused"},
        }

    def test_rows_of_another_version_are_not_taken(self, job: Path, tmp_path: Path) -> None:
        with Journal(tmp_path / "t.csv", "1") as journal:
            journal.add(cases([("j", open_job(job))], [])[0], {})
        assert not Journal(tmp_path / "t.csv", "2").finished()

    def test_a_killed_sweep_goes_on_where_it_was(self, job: Path, tmp_path: Path) -> None:
        table = tmp_path / "t.csv"
        speeds = ",".join(f"{speed} Gbit/s" for speed in range(1, 13))
        command = [
            str(Path(sys.executable).with_name("crosszone")),
            "sweep",
            str(job),
            "--vary",
            f"links.*.bandwidth={speeds}",
        ]
        command += ["-o", str(table), "--workers", "1"]
        killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal = Journal(table, "").path
        until = time.monotonic() + 60.0
        while not (journal.exists() and journal.read_text().count("\n") >= 2) and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert not table.exists()
        done = subprocess.run([*command, "--json"], capture_output=True, check=True)
        assert json.loads(done.stdout)["summary"]["num_resumed"] >= 2
        assert not journal.exists()
        whole = tmp_path / "whole.csv"
        service.sweep([job], variations=[f"links.*.bandwidth={speeds}"], output=whole, num_workers=1)
        assert table.read_text() == whole.read_text()


class TestWorkers:
    def test_processes_give_the_rows_of_one_process(self, job: Path) -> None:
        variations = [SPEEDS, "plan.tp=1,2"]
        alone = service.sweep([job], variations=variations, num_workers=1)
        assert service.sweep([job], variations=variations, num_workers=2) == alone

    def test_a_dask_cluster_gives_the_same_rows(self, job: Path) -> None:
        distributed = pytest.importorskip("distributed")
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            far = service.sweep([job], variations=[SPEEDS], dask_address=cluster.scheduler_address)
        assert far == service.sweep([job], variations=[SPEEDS], num_workers=1)

    def test_a_cluster_out_of_reach_is_named(self, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("distributed")
        monkeypatch.setattr("crosszone.sweeps.workers.CONNECT_SECONDS", 0.5)
        with pytest.raises(PreflightFailed, match=r"127\.0\.0\.1:9"):
            service.sweep([job], dask_address="tcp://127.0.0.1:9")


def test_progress_ends_at_one(job: Path) -> None:
    told: list[float] = []
    service.sweep([job], variations=[SPEEDS], num_workers=1, on_progress=told.append)
    assert math.isclose(told[-1], 1.0)
    assert told == sorted(told)
