"""`crosszone calibrate` and `--calibration`: files, screens, refusals."""

import json
from pathlib import Path

import pytest

HEAD = (
    "id,gpu,n_gpus,gpus_per_node,network,model,seq_len,tp,pp,vpp,micro_batch,global_batch,recompute,precision,"
    "sequence_parallel,zero_stage,flash_attention,framework,step_seconds"
)
RUN = "{id},{gpu},16,8,4x200 Gbit/s,llama-2-7b,4096,{tp},1,1,1,64,none,bf16,no,0,yes,megatron,{seconds}"
JOB = """
model: llama-2-7b
workload: {{sequence_length: 4096, global_batch_size: 64}}
cluster:
  zones:
    - {{name: home, nodes: [{{count: 2, gpu: {gpu}, gpus_per_node: 8, network: 4x200 Gbit/s}}]}}
framework: {{name: megatron}}
plan: {{tp: 4, pp: 1, microbatch_size: 1, recompute: none}}
"""


@pytest.fixture
def runs(tmp_path):
    """Path of a table of runs, each (id, gpu, tp, seconds)."""

    def write(*rows: tuple[str, str, int, float]) -> str:
        lines = [RUN.format(id=name, gpu=gpu, tp=tp, seconds=seconds) for name, gpu, tp, seconds in rows]
        path = tmp_path / "runs.csv"
        path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def job(tmp_path):
    """Path of a job file on 16 of some GPU."""

    def write(gpu: str = "a100-sxm4-80gb") -> str:
        path = tmp_path / "job.yaml"
        path.write_text(JOB.format(gpu=gpu), encoding="utf-8")
        return str(path)

    return write


def predicted_seconds(run, runs) -> float:
    return run("validate", runs(("own_1", "A100-SXM4-80GB", 4, 1.0)), "--json").json["rows"][0]["predicted"]


def test_one_run_is_learnt_from_and_used_by_every_verb(run, runs, job, tmp_path) -> None:
    slower = 1.3 * predicted_seconds(run, runs)
    table, output = runs(("own_1", "A100-SXM4-80GB", 4, slower)), tmp_path / "ours.json"
    done = run("calibrate", "--from", table, "-o", str(output), "--json")
    assert done.code == 0, done.err
    assert done.err == f"Wrote {output}\n"
    written = json.loads(output.read_text(encoding="utf-8"))
    assert written["calibrations"] == done.json["calibrations"]
    (found,) = written["calibrations"]
    assert found["gpu"] == "a100-sxm4-80gb"
    own = done.json["runs"][0]["compute_seconds_ratio"]
    assert own > 1.2
    assert found["compute_seconds_ratio"] == pytest.approx(own ** found["believed_fraction"])
    assert 0.2 < found["believed_fraction"] < 0.5  # of one run
    assert found["source"] == "runs.csv"
    assert slower / 1.3 < done.json["runs"][0]["calibrated_seconds"] < slower

    validated = run("validate", table, "--calibration", str(output), "--json").json
    assert -0.23 < validated["rows"][0]["relative_error"] < -0.1
    assert any("takes" in text and "believed by 32" in text for text in validated["rows"][0]["assumed"])

    plain = run("predict", job(), "--json").json
    ours = run("predict", job(), "--calibration", str(output), "--json").json
    assert ours["step_seconds"] > 1.05 * plain["step_seconds"]
    assert any(text.startswith("calibration: a100-sxm4-80gb takes") for text in ours["assumed"])
    assert not [text for text in ours["warnings"] if "calibration" in text]

    best = run("plan", job(), "--calibration", str(output), "--json", "--top", "1").json
    assert any(text.startswith("calibration: ") for text in best["plans"][0]["prediction"]["assumed"])
    assert plain["step_seconds"] < best["plans"][0]["prediction"]["step_seconds"] <= ours["step_seconds"] * (1 + 1e-9)


def test_a_calibration_of_another_gpu_is_a_warning(run, runs, job, tmp_path) -> None:
    output = tmp_path / "ours.json"
    run("calibrate", "--from", runs(("own_1", "A100-SXM4-80GB", 4, 12.0)), "-o", str(output))
    plain = run("predict", job("h100-sxm5-80gb"), "--json").json
    other = run("predict", job("h100-sxm5-80gb"), "--calibration", str(output), "--json").json
    assert other["step_seconds"] == plain["step_seconds"]
    assert other["warnings"][-1] == "calibration: that of a100-sxm4-80gb is not used: no such GPU is here."
    table = runs(("own_1", "H100-SXM5-80GB", 4, 5.0))
    done = run("validate", table, "--calibration", str(output), "--json")
    assert done.json["warnings"] == ["that of a100-sxm4-80gb is not used: no such GPU is here."]
    assert "warning: that of a100-sxm4-80gb is not used" in done.err


def test_the_screen_shows_constants_runs_and_what_was_left_out(run, runs, tmp_path) -> None:
    rows = (("own_1", "A100-SXM4-80GB", 4, 12.0), ("own_2", "A100-SXM4-80GB", 8, 13.0), ("own_3", "TPU-v5", 4, 1.0))
    out = run("calibrate", "--from", runs(*rows), "-o", str(tmp_path / "ours.json")).out
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["a100-sxm4-80gb"]]
    assert line.split()[1] == "2"
    shown = [line.split()[0] for line in out.splitlines() if line.strip().startswith("own_")]
    assert shown == ["own_1", "own_2", "own_3"]
    assert "Not used" in out
    assert "TPU-v5" in out


def test_runs_may_come_from_standard_input(run, runs, tmp_path) -> None:
    data = Path(runs(("own_1", "A100-SXM4-80GB", 4, 12.0))).read_bytes()
    done = run("calibrate", "--from", "-", "-o", str(tmp_path / "ours.json"), "--json", stdin=data)
    assert done.code == 0, done.err
    assert done.json["calibrations"][0]["source"] == "standard input"


def test_nonsense_is_refused_and_nothing_is_written(run, runs, tmp_path) -> None:
    output = tmp_path / "ours.json"
    done = run("calibrate", "--from", runs(("own_1", "A100-SXM4-80GB", 4, 12000.0)), "-o", str(output))
    assert done.code == 2
    assert "own_1: measured 1.2e+04 s a step, predicted" in done.err
    assert not output.exists()


def test_where_to_write_is_needed(run) -> None:
    done = run("calibrate", "--from", "-")
    assert done.code == 2
    assert "--output" in done.err


def test_a_calibration_file_that_is_wrong_is_bad_input(run, job, tmp_path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}", encoding="utf-8")
    for verb in ("predict", "plan"):
        done = run(verb, job(), "--calibration", str(wrong))
        assert done.code == 2
        assert "wrong.json" in done.err
    done = run("predict", job(), "--calibration", str(tmp_path / "none.json"))
    assert done.code == 2
    assert "cannot read the calibration file" in done.err
