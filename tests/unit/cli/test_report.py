"""`crosszone report`: where the file goes, what is said of it, and the exit codes."""

import json

import pytest

from crosszone import words
from crosszone.service import reports

PAGE = f"<!doctype html>{reports.OPENED}{reports.CLOSED}"
JOB = """
model: {num_layers: 8, hidden_size: 1024, ffn_size: 2816, num_heads: 8, num_kv_heads: 4, vocab_size: 32000}
workload: {sequence_length: 2048, global_batch_size: 16, precision: bf16}
cluster:
  zones:
    - {name: north, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
    - {name: south, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
  links: [{between: [north, south], bandwidth: 1 Gbit/s, rtt: 20 ms}]
framework: {name: megatron}
plan: {tp: 4, pp: 2, microbatch_size: 1}
"""
TOO_LARGE = JOB.replace("hidden_size: 1024", "hidden_size: 65536")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A page that is no more than it must be, and no searches of changed jobs."""
    monkeypatch.setattr(reports, "_page", lambda file: PAGE)
    monkeypatch.setattr("crosszone.service.verbs.sensitivity", lambda answer, on_progress: answer)


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return str(path)


def test_the_file_is_written_whole(run, job, tmp_path):
    path = tmp_path / "mine.html"
    result = run("report", job, "-o", str(path))
    assert (result.code, result.out) == (0, "")
    assert result.err == f"Wrote {path}; open it in a browser.\n"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_standard_output_takes_the_file_itself(run, job):
    result = run("report", job, "-o", "-")
    assert result.code == 0
    assert result.out.startswith("<!doctype html>")


def test_json_says_where_it_is(run, job, tmp_path):
    path = str(tmp_path / "mine.html")
    result = run("report", job, "-o", path, "--json")
    assert json.loads(result.out) == {"schema_version": 1, "file": path, "has_plan": True}
    assert run("report", job, "-o", "-", "--json").code == 2


def test_where_nothing_fits_there_is_a_report_and_the_exit_code_is_3(run, tmp_path):
    job, path = tmp_path / "large.yaml", tmp_path / "mine.html"
    job.write_text(TOO_LARGE)
    assert run("report", str(job), "-o", str(path)).code == 3
    assert path.exists()


def test_a_file_that_cannot_be_written_is_told_before_the_work(run, tmp_path):
    result = run("report", "no-such-job.yaml", "-o", str(tmp_path / "nowhere" / "mine.html"))
    assert result.code == 2
    assert "there is no folder" in result.err


def test_without_its_page_the_exit_code_is_4_and_the_hint_is_there_in_chinese(run, job, monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(reports, "PAGE", "elsewhere.html")
    result = run("report", job, "-o", str(tmp_path / "mine.html"), "--json")
    assert result.code == 4
    told = json.loads(result.out)
    assert "make web" in told["errors"][0]["hint"]
    assert words.translated(told, "zh")["errors"][0]["message"] == "本次安装未包含报告页面。"
