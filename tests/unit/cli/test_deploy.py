"""`crosszone deploy`: what is printed and written, and its exit codes."""

import io
import json
import sys

import pytest

from crosszone.deploy.shipped import SCRIPTS

JOB = """
model: {num_layers: 2, hidden_size: 64, ffn_size: 128, num_heads: 4, num_kv_heads: 2, vocab_size: 512}
workload: {sequence_length: 32, global_batch_size: 12, precision: bf16, train_tokens: 1M}
cluster:
  zones:
    - name: north
      nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2, network: 100 Gbit/s, addresses: [10.0.0.1]}]
    - name: south
      nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 1, network: 100 Gbit/s, addresses: [10.1.0.1]}]
  links: [{between: [north, south], bandwidth: 1 Gbit/s, rtt: 20 ms}]
plan: {dp: 3, microbatch_size: 2}
"""


@pytest.fixture
def job(tmp_path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return str(path)


def bare(job, folder, *more: str) -> tuple[str, ...]:
    options = ("--framework", "ddp", "--backend", "bare", "--checkpoints", "none", "-o", str(folder))
    return ("deploy", job, *options, *more)


def test_it_says_what_it_wrote_and_what_to_read(run, job, tmp_path) -> None:
    result = run(*bare(job, tmp_path / "bundle"))
    assert result.code == 0
    assert f"files in {tmp_path}/bundle: 3 ranks on 2 node(s)." in result.out
    assert f"{tmp_path}/bundle/README.md" in result.out
    assert "Nothing changed" in run(*bare(job, tmp_path / "bundle")).out


def test_the_framework_is_that_of_the_job_or_the_saved_plan(run, job, tmp_path) -> None:
    options = ("--backend", "bare", "--checkpoints", "none", "-o", str(tmp_path / "bundle"), "--json")

    def framework(*more: str) -> str:
        assert run("deploy", *more, *options, "--force").code == 0
        return str(json.loads((tmp_path / "bundle/metadata.json").read_text())["plan"]["framework"])

    named, saved = tmp_path / "named.yaml", str(tmp_path / "plans.json")
    named.write_text(JOB + "framework: {name: ddp}\n")
    assert framework(str(named)) == "ddp"
    assert framework(str(named), "--framework", "fsdp") == "fsdp"
    assert run("plan", str(named), "-o", saved).code == 0
    assert framework(job, "--plan", saved) == "ddp"


def test_warnings_go_where_errors_do(run, job, tmp_path) -> None:
    (tmp_path / "mine.py").write_text("print('mine')\n")
    result = run(*bare(job, tmp_path / "bundle", "--entry", str(tmp_path / "mine.py")))
    assert "warning: entry.py is taken to sum gradients over all ranks" in result.err


def test_a_piece_says_of_which_zone_it_is_and_where_the_others_are(run, job, tmp_path) -> None:
    told = "it starts 1 of 3 ranks, those of zone south (2)."
    result = run(*bare(job, tmp_path / "south", "--zone", "south"))
    assert "This is a piece" in result.out
    assert told in result.out
    assert "all zones are started: north too" in result.out
    assert "Rank 0, where all of them meet, is in north (10.0.0.1)." in result.out
    readme = (tmp_path / "south/README.md").read_text()
    assert told in readme
    assert "| 10.1.0.1 | 0 | 2 |" in readme
    assert "zone south 的 1 个 rank" in (tmp_path / "south/README.zh.md").read_text()
    assert "This is a piece" not in run(*bare(job, tmp_path / "whole")).out


def test_json_says_of_which_zone_a_bundle_is_a_piece(run, job, tmp_path) -> None:
    found = json.loads(run(*bare(job, tmp_path / "south", "--zone", "south", "--json")).out)
    assert found["piece"]["zone"] == "south"
    assert found["piece"]["message"].startswith("This is a piece: it starts 1 of 3 ranks")
    assert json.loads(run(*bare(job, tmp_path / "whole", "--json")).out)["piece"] is None


def test_a_search_shows_that_it_goes_on(run, job, tmp_path, monkeypatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    run(*bare(job, tmp_path / "bundle"))
    assert "Choosing a plan" in terminal.getvalue()


def test_diff_writes_nothing(run, job, tmp_path) -> None:
    folder = tmp_path / "bundle"
    first = run(*bare(job, folder, "--diff"))
    assert first.code == 0
    assert "+++ b/configs/train.json" in first.out
    assert not folder.exists()
    run(*bare(job, folder))
    second = run(*bare(job, folder, "--diff", "--steps", "7"))
    assert '+  "num_steps": 7,' in second.out
    assert '"num_steps": 7' not in (folder / "configs/train.json").read_text()


def test_json_has_files_ranks_and_changes(run, job, tmp_path) -> None:
    value = json.loads(run(*bare(job, tmp_path / "bundle", "--json")).out)
    assert value["world_size"] == 3
    assert [(agent["first_rank"], agent["gpus"]) for agent in value["agents"]] == [(0, [0, 1]), (2, [0])]
    assert {change["kind"] for change in value["changes"]} == {"added"}
    assert {file["path"] for file in value["files"] if file["is_executable"]} == {
        "launch/zone-0/agent-0.sh",
        "launch/zone-1/agent-1.sh",
        *SCRIPTS,
    }


def test_an_edited_bundle_is_kept_without_force(run, job, tmp_path) -> None:
    folder = tmp_path / "bundle"
    run(*bare(job, folder))
    (folder / "requirements.txt").write_text("torch\n")
    result = run(*bare(job, folder))
    assert result.code == 2
    assert "was edited after it was rendered" in result.err
    assert (folder / "requirements.txt").read_text() == "torch\n"
    assert run(*bare(job, folder, "--force")).code == 0
    assert (folder / "requirements.txt").read_text() != "torch\n"


def test_arguments_after_dashes_are_passed_on(run, job, tmp_path) -> None:
    (tmp_path / "train.py").write_text("pass\n")
    result = run(*bare(job, tmp_path / "bundle", "--entry", str(tmp_path / "train.py"), "--", "--lr", "1e-4; rm x"))
    assert result.code == 0
    assert "entry.py --lr '1e-4; rm x'" in (tmp_path / "bundle/launch/zone-0/agent-0.sh").read_text()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ("--framework", "horovod", "--backend", "bare"),
            3,
            "horovod needs horovodrun, which starts the ranks of all from one",
        ),
        (
            ("--framework", "ddp", "--backend", "local"),
            3,
            "the degrees of plan are 3 ranks, and no node has more than 2",
        ),
        (
            ("--framework", "ddp", "--backend", "local", "--device", "cpu", "--zone", "south"),
            3,
            "--zone: local starts the ranks of all zones",
        ),
        (("--framework", "ddp", "--backend", "bare"), 2, "--checkpoints"),
        (("--backend", "bare"), 2, "neither the job file nor an option says which framework runs it"),
        (("--framework", "alpa", "--backend", "bare"), 3, "Alpa is not actively maintained"),
        (("--framework", "FairScale", "--backend", "bare"), 3, "Take fsdp."),
        (("--framework", "colossal-ai", "--backend", "bare"), 3, "no renderer for Colossal-AI yet"),
        (("--framework", "ddp", "--backend", "bear"), 2, 'unknown backend "bear"'),
        (("--framework", "ddp", "--backend", "bare", "--steps", "0"), 2, "--steps"),
    ],
)
def test_exit_codes(run, job, tmp_path, options, code, message) -> None:
    result = run("deploy", job, *options, "-o", str(tmp_path / "bundle"))
    assert result.code == code
    assert message in result.err
    assert not (tmp_path / "bundle").exists()
