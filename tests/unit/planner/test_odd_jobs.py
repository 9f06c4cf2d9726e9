"""Unusual job files from end to end: an answer or an error of ours, no traceback, no number that cannot be."""

import json
import math
from typing import Any

import pytest

from crosszone.cli import main
from crosszone.frameworks import framework_names

A100, H100, V100 = "a100-sxm4-80gb", "h100-sxm5-80gb", "v100-sxm2-32gb"
OK, BAD, IMPOSSIBLE = 0, 2, 3
Job = dict[str, Any]


def nodes(count: int, gpus_per_node: int, gpu: str = A100, **more: Any) -> dict[str, Any]:
    return {"count": count, "gpu": gpu, "gpus_per_node": gpus_per_node, **more}


def job(model: str, length: int, sequences: int, *zones: Any, **more: Any) -> Job:
    listed = [
        {"name": f"z{index}", "nodes": zone if isinstance(zone, list) else [zone]} for index, zone in enumerate(zones)
    ]
    cluster: Job = {"zones": listed}
    if len(zones) > 1:
        cluster["default_link"] = {"bandwidth": "10 Gbit/s", "rtt": "30 ms", **more.pop("link", {})}
    workload = {"sequence_length": length, "global_batch_size": sequences, **more.pop("work", {})}
    return {"model": model, "workload": workload, "cluster": cluster, **more}


ONE_NODE = nodes(1, 8)
STAGES = [{"num_layers": 12, "zone": "z0"}, {"num_layers": 20, "zone": "z1"}]
TOKENS = {"train_tokens": "1B"}
JOBS: dict[str, tuple[Job, int, int]] = {
    # name: (job, exit code of plan, exit code of predict)
    "one GPU": (job("gpt2-small", 1024, 8, nodes(1, 1)), OK, OK),
    "three zones of one GPU": (job("llama-2-7b", 4096, 12, *[nodes(1, 1)] * 3), OK, OK),
    "nodes of five": (job("llama-2-7b", 4096, 60, nodes(3, 5)), OK, OK),
    "prime batch": (job("llama-2-7b", 4096, 61, nodes(2, 8)), OK, OK),
    "prime batch over uneven zones": (job("gpt2-small", 1024, 61, nodes(1, 3), nodes(1, 5)), OK, OK),
    "batch of one": (job("llama-2-7b", 4096, 1, nodes(2, 8), nodes(2, 8)), OK, OK),
    "experts on few GPUs": (job("mixtral-8x7b", 4096, 64, nodes(1, 4, H100)), OK, OK),
    "experts over zones": (job("deepseek-v2-lite", 4096, 64, ONE_NODE, ONE_NODE), OK, OK),
    "fp8": (job("llama-3.1-8b", 8192, 64, nodes(1, 8, H100), work={"precision": "fp8"}), OK, OK),
    "fp8 where a zone has none": (
        job("llama-3.1-8b", 8192, 64, nodes(1, 8, H100), ONE_NODE, work={"precision": "fp8"}), BAD, BAD,
    ),
    "nothing can fit": (job("gpt3-175b", 2048, 64, nodes(1, 1)), IMPOSSIBLE, IMPOSSIBLE),
    "a fabric of 72": (job("llama-3.1-405b", 8192, 512, nodes(18, 4, "gb200-nvl72")), OK, OK),
    "old and new GPUs": (job("llama-2-7b", 4096, 96, nodes(2, 8, V100), ONE_NODE, work={"precision": "fp16"}), OK, OK),
    "old and new GPUs in a zone": (
        job("llama-2-7b", 4096, 96, [nodes(2, 8, V100), ONE_NODE], work={"precision": "fp16"}), OK, OK,
    ),
    "zones of different numbers of pools": (
        job("gpt2-small", 1024, 32, [nodes(1, 8), nodes(1, 2)], nodes(1, 4), [nodes(1, 1)] * 2), OK, OK,
    ),
    "ten zones": (job("gpt2-small", 1024, 480, *[nodes(1, 2)] * 10), OK, OK),
    "least cost": (
        job("gpt2-small", 1024, 64, nodes(1, 8, price="2 USD/h"), nodes(1, 8, price="1 USD/h"), work=TOKENS,
            objective={"minimize": "cost"}), OK, OK,
    ),
    "least cost without prices": (
        job("gpt2-small", 1024, 64, ONE_NODE, work=TOKENS, objective={"minimize": "cost"}), IMPOSSIBLE, OK,
    ),
    "a deadline that nothing meets": (
        job("gpt2-small", 1024, 64, ONE_NODE, work=TOKENS, objective={"minimize": "time", "deadline": "1 s"}),
        IMPOSSIBLE, OK,
    ),
    "no egress": (
        job("gpt2-small", 1024, 64, ONE_NODE, ONE_NODE, work=TOKENS, link={"egress_price": "1 USD/GB"},
            constraints={"max_egress": "0 USD"}), OK, OK,
    ),
    "preemptible": (job("gpt2-small", 1024, 64, nodes(1, 8, preemptible=True)), OK, OK),
    "horovod": (job("gpt2-small", 1024, 64, ONE_NODE, framework={"name": "horovod"}), OK, OK),
    "horovod, too large": (
        job("llama-2-7b", 4096, 64, ONE_NODE, framework={"name": "horovod"}), IMPOSSIBLE, IMPOSSIBLE,
    ),
    "only a depth": (job("llama-2-7b", 4096, 64, ONE_NODE, plan={"pp": 4}), OK, OK),
    "only tp and dp": (job("llama-2-7b", 4096, 64, nodes(4, 8), plan={"tp": 8, "dp": 4}), OK, OK),
    "only interleaving": (job("llama-2-7b", 4096, 64, ONE_NODE, plan={"schedule": "interleaved_1f1b"}), OK, OK),
    "gpipe": (job("llama-2-7b", 4096, 64, ONE_NODE, plan={"pp": 4, "schedule": "gpipe"}), OK, OK),
    "dp that leaves GPUs idle": (job("gpt2-small", 1024, 63, ONE_NODE, plan={"dp": 3}), OK, OK),
    "idle GPUs by name": (
        job("llama-2-7b", 4096, 64, ONE_NODE, plan={"tp": 4, "idle_gpus": [{"zone": "z0", "num_gpus": 4}]}), OK, OK,
    ),
    "shards of four": (job("llama-2-7b", 4096, 64, nodes(4, 8), plan={"dp_shard": 4}), OK, OK),
    "sharding on one GPU": (job("gpt2-small", 1024, 8, nodes(1, 1), plan={"shard": "parameters"}), OK, OK),
    "every zone excluded": (job("gpt2-small", 1024, 8, nodes(1, 1), constraints={"exclude_zones": ["z0"]}), BAD, BAD),
    "LoRA": (job("llama-2-7b", 4096, 64, nodes(1, 8, "rtx-4090-24gb"), work={"trainable": "lora"}), OK, OK),
    "a sequence of 128k": (job("llama-3.1-8b", 131072, 16, nodes(4, 8, H100)), OK, OK),
    "an odd sequence": (job("gpt2-small", 1023, 16, ONE_NODE), OK, OK),
    "written stages": (job("llama-2-7b", 4096, 64, ONE_NODE, ONE_NODE, plan={"tp": 4, "stages": STAGES}), OK, OK),
    "written stages, too large": (
        job("llama-2-70b", 4096, 64, ONE_NODE, ONE_NODE, plan={"stages": [
            {"num_layers": 40, "zone": "z0"}, {"num_layers": 40, "zone": "z1"}]}), IMPOSSIBLE, IMPOSSIBLE,
    ),
    "written stages in an excluded zone": (
        job("llama-2-7b", 4096, 64, ONE_NODE, ONE_NODE, plan={"tp": 4, "stages": STAGES},
            constraints={"exclude_zones": ["z1"]}), BAD, BAD,
    ),
    "diloco": (job("gpt2-small", 1024, 64, ONE_NODE, ONE_NODE, plan={"sync": {"method": "diloco"}}), BAD, OK),
    "unfused attention in fp32": (
        job("gpt2-small", 1024, 64, ONE_NODE, work={"attention": "unfused", "precision": "fp32"}), OK, OK,
    ),
    "a link like a modem": (
        job("gpt2-small", 1024, 64, ONE_NODE, ONE_NODE, link={"bandwidth": "56 kbit/s", "rtt": "500 ms"}), OK, OK,
    ),
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def read(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    value: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return value


def check_prediction(prediction: dict[str, Any]) -> None:
    step = prediction["step_seconds"]
    assert 0.0 < step < math.inf
    assert 0.0 < prediction["mfu"] <= prediction["hfu"] * (1 + 1e-9) <= 1.0
    parts = [prediction[f"{name}_fraction"] for name in ("compute", "exposed_communication", "bubble", "other")]
    assert all(-1e-9 <= part <= 1.0 + 1e-9 for part in parts)
    assert sum(parts) == pytest.approx(1.0)
    assert sum(term["exposed_seconds"] for term in prediction["terms"]) == pytest.approx(step)
    assert all(term["exposed_seconds"] >= 0.0 <= term["overlapped_seconds"] for term in prediction["terms"])
    memory = prediction["memory"]
    stages = [(stage["total_bytes"], stage["capacity_bytes"]) for stage in memory["stages"]]
    assert memory["fits"] == all(total <= capacity for total, capacity in stages)
    assert (memory["verdict"] == "does not fit") == (not memory["fits"])
    assert max(total / capacity for total, capacity in stages) == pytest.approx(
        memory["peak_bytes"] / memory["capacity_bytes"]
    )
    assert prediction["cross_zone_penalty_ratio"] >= 1.0 - 1e-9
    for link in prediction["links"]:
        assert 0.0 <= (link["utilization_fraction"] or 0.0) <= 1.0 + 1e-9


def check_plan(plan: dict[str, Any], source: Job) -> None:
    degrees = math.prod(plan[axis] for axis in ("tp", "pp", "cp", "dp"))
    gpus = sum(
        group["count"] * group["gpus_per_node"] for zone in source["cluster"]["zones"] for group in zone["nodes"]
    )
    assert plan["world_size"] == degrees
    assert degrees + sum(idle["num_gpus"] for idle in plan["idle_gpus"]) == gpus
    assert sum(replica["num_replicas"] for replica in plan["replicas"]) == plan["dp"]
    assert sum(replica["weight"] for replica in plan["replicas"]) == pytest.approx(1.0)
    assert plan["dp"] % plan["dp_shard"] == 0
    batch = source["workload"]["global_batch_size"]
    shares = sum(replica["num_replicas"] * replica["num_microbatches"] for replica in plan["replicas"])
    assert shares * plan["microbatch_size"] == batch
    for name in ("tp", "pp", "dp", "schedule", "shard", "dp_shard"):
        assert plan[name] == source.get("plan", {}).get(name, plan[name])


def check_answer(answer: dict[str, Any], source: Job) -> None:
    for ranked in [*answer["plans"], *([answer["baseline"]] if answer["baseline"] else [])]:
        check_prediction(ranked["prediction"])
        assert ranked["prediction"]["memory"]["fits"]
    for ranked in answer["plans"]:
        check_plan(ranked["plan"], source)
        assert ranked["plan"]["framework"] in framework_names()
    seconds = [ranked["prediction"]["step_seconds"] for ranked in answer["plans"]]
    if source.get("objective", {}).get("minimize", "time") == "time" and len(seconds) > 1:
        assert seconds == sorted(seconds)
        assert answer["baseline"] is None or seconds[0] <= answer["baseline"]["prediction"]["step_seconds"]
    verdict = answer["verdict"]
    if answer["plans"]:
        zones = {zone for replica in answer["plans"][0]["plan"]["replicas"] for zone in replica["zones"]}
        assert verdict.startswith("Span") <= (len(zones) > 1)
        assert verdict.startswith("Stay") <= (len(zones) == 1)
    else:
        assert "fit" in verdict


@pytest.mark.parametrize("name", JOBS)
def test_plan_answers_or_says_why_not(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    source, expected, _ = JOBS[name]
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(source), encoding="utf-8")
    code, out, err = run(capsys, "plan", str(path), "--json")
    assert code == expected, err
    if code == BAD:
        assert all(error["message"] and error["where"] for error in read(out or err)["errors"])
        return
    check_answer(read(out), source)
    assert run(capsys, "plan", str(path))[0] == expected


@pytest.mark.parametrize("name", JOBS)
def test_predict_predicts_or_says_why_not(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    source, _, expected = JOBS[name]
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(source), encoding="utf-8")
    code, out, err = run(capsys, "predict", str(path), "--json")
    assert code == expected, err
    if code == BAD:
        assert all(error["message"] and error["where"] for error in read(out or err)["errors"])
        return
    prediction = read(out)
    check_prediction(prediction)
    check_plan(prediction["plan"], source)
    assert prediction["memory"]["fits"] == (code == OK)
    assert run(capsys, "predict", str(path))[0] == expected
