"""`crosszone validate` through the real program: JSON, standard input, exit codes, and agreement with `predict`."""

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest

SUMMARY = (
    "quantity num_rows mape median_ape bias null_model_mape by_source by_gpu by_framework by_family quantities".split()
)
ROW = "id source quantity unit measured predicted relative_error assumed".split()

# Narayanan et al. 2021 (SC21), Table 1: 39.1 billion parameters, 138 TFLOP/s on 512 A100, batch 1536, tp 8, pp 2.
SC21 = {
    "id": "sc21_39b", "gpu": "A100-SXM4-80GB", "n_gpus": "512", "gpus_per_node": "8",
    "network": "8x200Gb HDR IB per node", "model": "GPT-39.1B", "layers": "48", "hidden": "8192", "ffn_hidden": "32768",
    "heads": "64", "kv_heads": "64", "head_dim": "128", "vocab": "51200", "seq_len": "2048", "gated_mlp": "no",
    "tied_embeddings": "yes", "tp": "8", "pp": "2", "vpp": "1", "dp": "32", "cp": "1", "ep": "1",
    "sequence_parallel": "no", "zero_stage": "0", "micro_batch": "4", "global_batch": "1536", "recompute": "full",
    "precision": "fp16", "flash_attention": "no", "framework": "Megatron-LM", "tflops_per_gpu": "138",
    "tflops_formula": "Megatron SC21 96Bslh^2(1+s/6h+V/16lh)",
}  # fmt: skip

LLAMA = SC21 | {
    "id": "own_llama", "gpu": "H100-SXM5-80GB", "n_gpus": "64", "network": "8x400Gb", "model": "Llama-3-70B",
    "layers": "80", "hidden": "8192", "ffn_hidden": "28672", "heads": "64", "kv_heads": "8", "vocab": "128256",
    "seq_len": "8192", "gated_mlp": "yes", "tied_embeddings": "no", "tp": "4", "pp": "4", "dp": "4",
    "sequence_parallel": "yes", "zero_stage": "1", "micro_batch": "1", "global_batch": "128", "recompute": "selective",
    "precision": "bf16", "flash_attention": "yes", "framework": "Megatron-LM", "iter_time_s": "10",
}  # fmt: skip
JOB = """
model: llama-3-70b
workload: {sequence_length: 8192, global_batch_size: 128, precision: bf16, attention: flash}
cluster:
  zones:
    - {name: a, nodes: [{count: 8, gpu: h100-sxm5-80gb, gpus_per_node: 8, network: 8x400 Gbit/s}]}
framework: {name: megatron}
plan: {tp: 4, pp: 4, cp: 1, dp: 4, num_virtual_stages: 1, microbatch_size: 1, recompute: selective, shard: optimizer,
       dp_shard: 4, sequence_parallel: true, schedule: 1f1b, offload: none,
       stages: [{num_layers: 20, zone: a}, {num_layers: 20, zone: a},
                {num_layers: 20, zone: a}, {num_layers: 20, zone: a}]}
"""


def table(*rows: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def crosszone(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crosszone.cli", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def answer() -> dict:
    rows = [SC21, SC21 | {"id": "sc21_no_gpu", "gpu": "TPU v4"}, LLAMA | {"micro_batch": "", "recompute": ""}]
    done = crosszone("validate", "-", "--json", stdin="\ufeff" + table(*rows))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_json_has_the_published_names(answer) -> None:
    assert {"schema_version", "rows", "skipped", "summary"} <= set(answer)
    for row in answer["rows"]:
        assert set(ROW) <= set(row)
    assert set(SUMMARY) <= set(answer["summary"])
    assert answer["skipped"] == [{"id": "sc21_no_gpu", "reason": 'the catalog has no GPU like "TPU v4".'}]


def test_the_published_run_is_near(answer) -> None:
    row = answer["rows"][0]
    flop = 96 * 1536 * 2048 * 48 * 8192**2 * (1 + 2048 / 49152 + 51200 / (16 * 48 * 8192))
    assert (row["source"], row["quantity"], row["unit"]) == ("sc21", "step_seconds", "s")
    assert row["measured"] == pytest.approx(flop / (138e12 * 512))
    assert row["relative_error"] == pytest.approx(row["predicted"] / row["measured"] - 1)
    assert abs(row["relative_error"]) < 0.25


def test_what_was_assumed_is_listed(answer) -> None:
    assumed = answer["rows"][1]["assumed"]
    assert "micro_batch 1: not stated." in assumed
    assert "recompute none: not stated." in assumed


def test_the_summary_is_by_source(answer) -> None:
    summary = answer["summary"]
    errors = [abs(row["relative_error"]) for row in answer["rows"]]
    assert (summary["num_rows"], summary["num_table_rows"], summary["num_skipped"]) == (2, 3, 1)
    assert summary["mape"] == pytest.approx(sum(errors) / 2)
    assert summary["by_source"]["sc21"]["mape"] == pytest.approx(errors[0])
    assert set(summary["by_source"]) == {"sc21", "own"}
    assert summary["quantities"]["step_seconds"]["source_mape"] == pytest.approx(sum(errors) / 2)


def test_a_whole_row_has_the_step_that_predict_gives(tmp_path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    predicted = json.loads(crosszone("predict", str(path), "--json").stdout)
    validated = json.loads(crosszone("validate", "-", "--json", stdin=table(LLAMA)).stdout)
    (row,) = validated["rows"]
    assert row["predicted"] == pytest.approx(predicted["step_seconds"], rel=1e-9)
    # The fabric is the one thing that such tables have no column for.
    assert [text.partition(":")[0] for text in row["assumed"]] == ["fabric"]


def test_verdicts_and_memory_in_json(tmp_path) -> None:
    path = tmp_path / "memory.csv"
    small = LLAMA | {"id": "own_1", "iter_time_s": "", "peak_memory_GiB": "40", "status": "ran"}
    small |= {"tp": "8", "dp": "2", "recompute": "full"}
    large = LLAMA | {"id": "own_2", "iter_time_s": "", "tp": "1", "pp": "1", "dp": "64", "status": "oom"}
    small["tflops_per_gpu"] = large["tflops_per_gpu"] = ""
    path.write_text(table(small, large), encoding="utf-8")
    answer = json.loads(crosszone("validate", str(path), "--json").stdout)
    verdicts = {row["id"]: row for row in answer["rows"] if row["quantity"] == "fits"}
    assert verdicts["own_2"]["measured"] is False
    assert verdicts["own_2"]["predicted"] is False
    assert verdicts["own_2"]["relative_error"] is None
    assert answer["summary"]["quantity"] == "peak_memory_bytes"
    scores = answer["summary"]["quantities"]["fits"]
    assert scores["balanced_accuracy"] == 1.0
    assert scores["confusion"] == {"ran_fits": 1, "ran_does_not_fit": 0, "failed_fits": 0, "failed_does_not_fit": 1}


def test_a_missing_column_is_bad_input() -> None:
    done = crosszone("validate", "-", "--json", stdin="id,model\n")
    assert done.returncode == 2
    errors = json.loads(done.stdout)["errors"]
    assert errors[0]["code"] == "missing_column"
    assert errors[0]["message"] == "the table has no column gpu."
    assert len(errors) == 5


def test_a_missing_file_is_bad_input(tmp_path) -> None:
    done = crosszone("validate", str(tmp_path / "none.csv"))
    assert done.returncode == 2
    assert "cannot read the table" in done.stderr
    assert "Traceback" not in done.stderr


def test_fail_above_is_the_exit_code(tmp_path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(table(SC21, LLAMA | {"iter_time_s": "1"}), encoding="utf-8")
    assert crosszone("validate", str(path), "--fail-above", "1e9").returncode == 0
    failed = crosszone("validate", str(path), "--fail-above", "0.01", "--json")
    assert failed.returncode == 5
    assert "verification failed: the mean error over sources is" in failed.stderr
    assert json.loads(failed.stdout)["summary"]["num_rows"] == 2


def test_fail_above_without_a_row_to_hold_against_it_fails() -> None:
    done = crosszone("validate", "-", "--fail-above", "0.5", stdin=table(SC21 | {"gpu": "TPU"}))
    assert done.returncode == 5
    assert "no row counts" in done.stderr


def test_people_see_tables_by_source_and_reasons() -> None:
    done = crosszone("validate", "-", stdin=table(SC21, SC21 | {"id": "sc21_2", "gpu": "TPU"}))
    assert done.returncode == 0
    for text in (
        "Seconds per step",
        "source",
        "GPU",
        "framework",
        "model family",
        "Worst rows",
        "Skipped: 1 of 2 rows",
    ):
        assert text in done.stdout
    assert done.stderr == ""


def test_a_bar_is_drawn_on_a_terminal_alone(tmp_path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(table(*(SC21 | {"id": f"a_{index}"} for index in range(300))), encoding="utf-8")
    main, other = pty.openpty()
    command = [sys.executable, "-m", "crosszone.cli", "validate", str(path), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=other, env=os.environ | {"TERM": "xterm"})
    output, _ = process.communicate()
    os.close(other)
    shown = os.read(main, 4096).decode("utf-8", "replace")
    os.close(main)
    assert json.loads(output)["summary"]["num_rows"] == 300
    assert "Predicting" in shown


@pytest.mark.slow
def test_thousands_of_rows_take_seconds() -> None:
    layouts = [(tp, pp, size) for tp in (1, 2, 4, 8) for pp in (1, 2, 4, 8) for size in (1, 2, 4)]
    shapes = [(layers, seq) for layers in (24, 32, 40, 48) for seq in (1024, 2048, 4096)]
    rows = [
        SC21
        | {"id": f"a_{tp}_{pp}_{size}_{layers}_{seq}_{repeat}", "tp": str(tp), "pp": str(pp), "layers": str(layers)}
        | {"micro_batch": str(size), "seq_len": str(seq), "dp": "", "n_gpus": "128", "iter_time_s": "10"}
        for tp, pp, size in layouts
        for layers, seq in shapes
        for repeat in range(7)
    ]
    text = table(*rows)
    started = os.times().children_user
    done = crosszone("validate", "-", "--json", stdin=text)
    assert json.loads(done.stdout)["summary"]["num_rows"] == len(rows) == 4032
    # Processor time, so that other work on the machine does not count.
    assert os.times().children_user - started < 30.0


def test_figures_across_zones_are_known_by_their_columns() -> None:
    """INTELLECT-1 (arXiv 2412.01152), table 2; the second row states no time to predict from."""
    cells = {"work": "INTELLECT-1", "metric": "compute utilisation", "value": "83.0", "unit": "%", "method": "DiLoCo"}
    text = table(
        {"row_id": "1", **cells, "notes": "inner steps 38 min; all-reduce 469 s"}, {"row_id": "2", **cells, "notes": ""}
    )
    done = crosszone("validate", "-", "--json", stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    (row,) = answer["rows"]
    assert set(ROW) <= set(row)
    assert (row["id"], row["quantity"], row["unit"]) == ("1", "compute utilisation", "%")
    assert row["predicted"] == pytest.approx(83.0, abs=0.1)
    assert [skipped["id"] for skipped in answer["skipped"]] == ["2"]
    assert set(SUMMARY) <= set(answer["summary"])
    assert answer["summary"]["quantity"] == "cross_zone"
    shown = crosszone("validate", "-", stdin=text)
    assert shown.returncode == 0
    assert "Across zones" in shown.stdout
    assert crosszone("validate", "-", "--fail-above", "0.00001", stdin=text).returncode == 5
