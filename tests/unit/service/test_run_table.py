"""Own runs in the words of a table: what validate predicts of a row is what was predicted of the run."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from crosszone import service
from crosszone.core.codec import to_json
from crosszone.service.run_table import row_of, table_of
from crosszone.store.records import SavedRun

SLOWER = 1.1
JOB = {
    "model": "llama-2-7b",
    "workload": {"sequence_length": 4096, "global_batch_size": 32, "precision": "bf16"},
    "cluster": {
        "zones": [
            {
                "name": "east",
                "nodes": [
                    {
                        "count": 2,
                        "gpu": "a100-sxm4-80gb",
                        "gpus_per_node": 8,
                        "network": "4x200 Gbit/s",
                        "price": "2 USD/h",
                    }
                ],
            }
        ]
    },
    "framework": {"name": "fsdp"},
    "plan": {"dp": 16, "shard": "parameters", "microbatch_size": 1},
}


def saved(job=JOB, **measured):
    ranked = service.predict(service.read(job))
    prediction = service.prediction_json(ranked)
    memory = {"peak_bytes": 4e10, "capacity_bytes": 8e10}
    facts = {"device": "NVIDIA A100-SXM4-80GB", "step_seconds": SLOWER * prediction["step_seconds"], "memory": memory}
    return SavedRun(
        id="run-1",
        name="t, attempt 1",
        kind="measured",
        job=job,
        plan=to_json(ranked.plan),
        prediction=prediction,
        measurement={**facts, **measured},
        created_seconds=1_763_000_000.0,
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"framework": {"name": "megatron"}, "plan": {"tp": 8, "pp": 1, "dp": 2, "sequence_parallel": True}},
        {"framework": {"name": "ddp"}, "model": "gpt3-small", "plan": {"dp": 16, "microbatch_size": 2}},
    ],
)
def test_validate_predicts_of_the_row_what_was_predicted_of_the_run(more):
    run = saved({**JOB, **more})
    table = table_of([run])
    assert (table.num_rows, table.left_out) == (1, ())
    report = service.validate_bytes(table.text.encode())
    found = {row.quantity: row for row in report.rows}
    assert found["step_seconds"].measured == run.measurement["step_seconds"]
    assert found["step_seconds"].relative_error == pytest.approx(1.0 / SLOWER - 1.0, abs=0.01)
    assert found["step_seconds"].framework == run.prediction["framework"]
    assert found["peak_memory_bytes"].measured == 4e10
    assert {each.partition(":")[0] for row in report.rows for each in row.assumed} == {"fabric"}


def test_a_calibration_learns_from_it():
    table = table_of([saved()])
    found = service.calibrate_bytes(table.text.encode(), where="own.csv")
    (learnt,) = found.calibrations
    assert learnt.gpu == "a100-sxm4-80gb"
    assert learnt.compute_seconds_ratio > 1.0


def test_all_rows_have_the_same_columns():
    (header, first, second) = list(csv.reader(io.StringIO(table_of([saved(), saved()]).text)))
    assert len(header) == len(first) == len(second)
    assert set(row_of(saved())) == set(header)


def two_zones():
    zone = JOB["cluster"]["zones"][0]
    link = {"between": ["east", "west"], "bandwidth": "10 Gbit/s", "rtt": "20 ms"}
    return {**JOB, "cluster": {"zones": [zone, {**zone, "name": "west"}], "links": [link]}, "plan": {"dp": 32}}


def more_nodes():
    (node,) = JOB["cluster"]["zones"][0]["nodes"]
    return {**JOB, "cluster": {"zones": [{"name": "east", "nodes": [{**node, "count": 3}]}]}, "plan": {"dp": 24}}


def two_kinds():
    (node,) = JOB["cluster"]["zones"][0]["nodes"]
    nodes = [{**node, "count": 1}, {**node, "count": 1, "memory": "1 TB"}]
    return {**JOB, "cluster": {"zones": [{"name": "east", "nodes": nodes}]}}


SHARDED = {"tp": 1, "pp": 1, "dp": 16, "shard": "parameters", "recompute": "full"}


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (lambda: saved(device="cpu"), "device"),
        (lambda: dataclasses.replace(saved(), job=more_nodes()), "fewer_gpus"),
        (lambda: saved(two_zones()), "several_zones"),
        (lambda: saved(two_kinds()), "several_gpus"),
        (lambda: saved({**JOB, "model": "mixtral-8x7b", "plan": SHARDED}), "model"),
    ],
)
def test_what_a_row_cannot_say_is_left_out_with_the_reason(run, code):
    table = table_of([run()])
    assert table.text == ""
    assert [(each.code, each.where) for each in table.left_out] == [(code, "run-1")]
