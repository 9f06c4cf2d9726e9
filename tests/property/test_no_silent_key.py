"""No key of the job file is ignored without a word.

For each key a value is changed: then a predicted number changes, or the file is refused, or a warning names the key.
Keys that only name or describe something are listed, each with its reason.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from crosszone import service
from crosszone.errors import CrossZoneError
from crosszone.spec import read_job
from crosszone.spec.schema import keys

GONE = object()
"""The key is not written."""
WITHOUT_EFFECT = {
    "schema_version": "only 1 is read",
    "model.name": "a label",
    "cluster.zones[].name": "a label that links and plans refer to",
    "cluster.zones[].scheduler": "read by deploy: how Slurm starts the zone's part",
    "cluster.zones[].nodes[].disk": "read by deploy: what is rented",
    "cluster.zones[].nodes[].addresses": "read by deploy: where the nodes are reached",
    "cluster.zones[].nodes[].interface": "read by deploy: what the nodes listen on",
    "cluster.zones[].nodes[].image": "read by deploy: what the nodes run in",
}
DENSE = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4, "vocab_size": 32000}
MOE = {**DENSE, "num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 1024}
LATENT = {**DENSE, "num_kv_heads": 8, "kv_lora_rank": 256, "rope_head_size": 64}
NODES = {"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 4, "network": "100 Gbit/s", "price": "2 USD/h"}
FAST = {**NODES, "gpu": "h100-sxm5-80gb"}
LINK = {"bandwidth": "10 Gbit/s", "rtt": "20 ms", "egress_price": "0.02 USD/GB"}
BASE: dict[str, Any] = {
    "model": DENSE,
    "workload": {
        "sequence_length": 2048,
        "global_batch_size": 64,
        "precision": "bf16",
        "optimizer": "adamw",
        "train_tokens": "1B",
    },
    "cluster": {
        "zones": [{"name": "a", "nodes": [NODES]}, {"name": "b", "nodes": [NODES]}],
        "links": [{"between": ["a", "b"], **LINK}],
    },
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "pp": 1, "dp": 8, "microbatch_size": 1},
}
ZONE, GROUP, HERE = "cluster.zones.0", "cluster.zones.0.nodes.0", "cluster.links.0"
STAGES = {
    "plan": {
        "tp": 4,
        "microbatch_size": 1,
        "stages": [{"num_layers": 5, "zone": "a"}, {"num_layers": 3, "zone": "b"}],
    },
    "cluster.zones.1.nodes.0": FAST,
}
REPLICAS = {
    "plan": {
        "tp": 1,
        "microbatch_size": 1,
        "replicas": [{"zones": ["a"], "num_replicas": 2}, {"zones": ["b"], "num_replicas": 4}],
    },
    "cluster.zones.1.nodes.0": FAST,
    "framework": GONE,
}
IDLE = {
    "plan": {"tp": 2, "pp": 1, "dp": 8, "microbatch_size": 1, "idle_gpus": [{"zone": "a", "num_gpus": 8}]},
    f"{ZONE}.nodes": [NODES, FAST],
    "cluster.zones.1.nodes.0": FAST,
}
SEARCHED = {"plan": GONE, f"{HERE}.bandwidth": "800 Gbit/s", f"{HERE}.rtt": "1 ms", f"{HERE}.egress_price": "1 USD/GB"}
"""Spanning both zones is fastest, and dear."""


THIRD = "cluster.zones.2"
OTHERS = {
    "cluster.links.1": {"between": ["b", "c"], **LINK, "shared": "sea-cable"},
    "cluster.links.2": {"between": ["a", "c"], **LINK, "shared": "sea-cable"},
}
"""The links of a third zone, which are one path."""
THIRD_ZONE = {THIRD: {"name": "c", "nodes": [NODES]}, "workload.global_batch_size": 48, "plan.dp": 12}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One key with a value before and after, in a job that gives it something to act on."""

    path: str
    before: Any
    after: Any
    base: dict[str, Any] = field(default_factory=dict)
    also: dict[str, Any] = field(default_factory=dict)
    """What else changes, where one key cannot change alone."""
    searches: bool = False
    """It guides the search, so that plans are compared."""


def case(path: str, before: Any, after: Any, base: dict[str, Any] | None = None, **more: Any) -> Case:
    return Case(path=path, before=before, after=after, base=base or {}, **more)


def model(path: str, before: Any, after: Any, shape: dict[str, Any] = DENSE) -> Case:
    return case(f"model.{path}", before, after, {"model": shape})


def link_cases(path: str, base: dict[str, Any]) -> Iterator[Case]:
    """What a path between zones can say, at `path`."""
    yield case(f"{path}.bandwidth", "10 Gbit/s", "1 Gbit/s", base)
    yield case(f"{path}.rtt", "20 ms", "200 ms", base)
    yield case(f"{path}.per_node", GONE, "1 Gbit/s", base)
    yield case(f"{path}.per_flow", GONE, "100 Mbit/s", base)
    yield case(f"{path}.window", GONE, "100 kB", base)
    yield case(f"{path}.streams", 1, 4, {**base, f"{path}.per_flow": "100 Mbit/s"})
    yield case(f"{path}.jitter", GONE, "5 ms", base)
    yield case(f"{path}.loss", GONE, "1%", base)
    yield case(f"{path}.congestion_control", "cubic", "bbr", {**base, f"{path}.loss": "1%"})
    three = {**base, **THIRD_ZONE, **(OTHERS if path == HERE else {})}
    yield case(f"{path}.shared", GONE, "sea-cable", three)
    yield case(f"{path}.egress_price", "0.02 USD/GB", "0.2 USD/GB", base)
    yield case(f"{path}.mtbf", GONE, "30 d", base)
    yield case(f"{path}.repair", GONE, "4 h", {**base, f"{path}.mtbf": "30 d"})
    yield case(f"{path}.distance", "1000 km", "2000 km", {**base, f"{path}.rtt": GONE})


REGIONS = {"cluster.zones.1.region": "gcp:us-west1", f"{HERE}.rtt": GONE}
PLACES = {"cluster.zones.1.location": [30, -100], f"{HERE}.rtt": GONE}
OFFLOADED = {"plan": {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "optimizer", "offload": "optimizer"}}
EPOCHS = {"workload.train_tokens": GONE, "workload.dataset": {"tokens": "1B"}, "workload.epochs": 1}
REPLICATED = {
    "plan": {"tp": 1, "pp": 1, "dp": 16, "microbatch_size": 1, "shard": "none", "sync": {}},
    "framework": {"name": "ddp"},
}
PIPELINED = {"plan.pp": 2, "plan.dp": 4}
LOCAL = {**REPLICATED, "plan.sync.method": "diloco", "plan.sync.every": 10}
OWN = {
    "plan": {
        "tp": 1,
        "microbatch_size": 1,
        "shard": "parameters",
        "dp_shard": 4,
        "sync": {"method": "diloco", "every": 10},
        "replicas": [
            {"zones": ["a"], "num_replicas": 8, "num_microbatches": 4, "own": {"dp_shard": 8}},
            {"zones": ["b"], "num_replicas": 8, "num_microbatches": 4},
        ],
    },
    "framework": {"name": "fsdp"},
}
SHARDED = {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "parameters", "dp_shard": 8}
CASES = (
    case("model.parameters", "7B", "13B", {"model": {}}),
    *(model(key, DENSE[key], 2 * DENSE[key]) for key in ("num_layers", "ffn_size", "vocab_size", "num_kv_heads")),
    model("hidden_size", 1024, 2048),
    model("num_heads", 8, 16),
    model("head_size", 128, 64),
    model("max_positions", GONE, 1024),
    *(model(key, GONE, True) for key in ("tied_embeddings", "qkv_bias", "attention_output_bias", "ffn_bias")),
    *(model(key, GONE, True) for key in ("head_bias", "attention_sinks", "norm_bias", "embedding_norm")),
    *(model(key, GONE, False) for key in ("gated_ffn", "is_causal", "final_norm")),
    model("router_bias", GONE, True, MOE),
    model("value_head_size", GONE, 64),
    model("q_lora_rank", GONE, 256, LATENT),
    model("kv_lora_rank", 256, 512, LATENT),
    model("rope_head_size", 64, 32, LATENT),
    model("window_size", GONE, 512),
    model("global_every", GONE, 2, {**DENSE, "window_size": 512}),
    model("norm", GONE, "layernorm"),
    model("num_layer_norms", GONE, 4),
    model("qk_norm", GONE, "head"),
    model("position", GONE, "learned", {**DENSE, "max_positions": 4096}),
    model("num_position_rows", 2048, 4096, {**DENSE, "position": "learned"}),
    model("embedding_size", GONE, 512),
    *(model(key, MOE[key], 2 * MOE[key], MOE) for key in ("num_experts", "experts_per_token", "expert_ffn_size")),
    model("num_shared_experts", GONE, 1, MOE),
    model("shared_expert_ffn_size", 512, 1024, {**MOE, "num_shared_experts": 1}),
    model("num_dense_layers", GONE, 2, MOE),
    model("moe_every", GONE, 2, MOE),
    case("workload.sequence_length", 2048, 4096),
    case("workload.global_batch_size", 64, 128),
    case("workload.precision", "bf16", "fp32"),
    case("workload.dtypes.compute", GONE, "tf32"),
    *(case(f"workload.dtypes.{key}", GONE, "fp32") for key in ("weights", "activations")),
    *(case(f"workload.dtypes.{key}", GONE, "bf16") for key in ("gradients", "gradient_reduction", "moments")),
    case("workload.dtypes.master_weights", GONE, "none"),
    case("workload.optimizer", "adamw", "sgd"),
    case("workload.train_tokens", "1B", "2B"),
    case("workload.epochs", 1, 2, EPOCHS),
    case("workload.dataset.tokens", "1B", "2B", EPOCHS),
    case("workload.dataset.size", GONE, "4 TB", {"workload.dataset": {"zone": "a"}}),
    case("workload.dataset.zone", GONE, "a"),
    case("workload.checkpoint.every", "auto", "1 min"),
    case("workload.checkpoint.bandwidth", GONE, "2 GB/s"),
    case("workload.checkpoint.keep", GONE, 5),
    case("workload.checkpoint.async", GONE, True),
    case("workload.checkpoint.monthly_price", GONE, "0.02 USD/GB"),
    case("workload.evaluation.every", 100, 200, {"workload.evaluation": {"duration": "1 min"}}),
    case("workload.evaluation.duration", "1 min", "2 min", {"workload.evaluation": {"every": 100}}),
    case("workload.restart", GONE, "1 h"),
    case("workload.trainable", "all", "lora"),
    case("workload.attention", "flash", "unfused"),
    case(f"{GROUP}.count", 2, 4),
    case(f"{GROUP}.gpu", NODES["gpu"], "h100-sxm5-80gb"),
    case(f"{GROUP}.gpus_per_node", 4, 8),
    case(f"{GROUP}.fabric.kind", "nvlink", "pcie"),
    case(f"{GROUP}.fabric.num_gpus", 4, 2, {"plan": {"tp": 4, "pp": 1}}),
    case(f"{GROUP}.fabric.bandwidth", GONE, "50 GB/s"),
    case(f"{GROUP}.network", "100 Gbit/s", "4x200 Gbit/s"),
    case(f"{GROUP}.memory", "2 TB", "100 MB", OFFLOADED),
    case(f"{GROUP}.cpus", GONE, 64),
    case(f"{GROUP}.price", "2 USD/h", "3 USD/h"),
    case(f"{GROUP}.preemptible", GONE, True),
    case(f"{GROUP}.mtbf", GONE, "30 d"),
    case(f"{ZONE}.region", "gcp:us-central1", "gcp:europe-west4", REGIONS),
    case(f"{ZONE}.location", [40, -80], [50, 0], PLACES),
    case(f"{ZONE}.uplink", GONE, "1 Gbit/s"),
    case(f"{ZONE}.oversubscription", GONE, 8),
    *link_cases(HERE, {}),
    case(f"{HERE}.between", ["a", "b"], ["a", "a"]),
    case(f"{HERE}.from", "a", "b", {HERE: {**LINK, "to": "b"}, "cluster.links.1": {**LINK, "from": "b", "to": "a"}}),
    case(f"{HERE}.to", "b", "a", {HERE: {**LINK, "from": "a"}, "cluster.links.1": {**LINK, "from": "b", "to": "a"}}),
    *link_cases("cluster.default_link", {"cluster.links": [], "cluster.default_link": LINK}),
    case("framework.name", "megatron", "torchtitan"),
    case("plan.tp", 2, 4),
    case("plan.pp", 1, 2),
    case("plan.cp", 1, 2),
    case("plan.ep", 1, 2, {"model": MOE}),
    case("plan.dp", 8, 4, {"plan": {"tp": 2}}),
    case("plan.dp_shard", 8, 4, {"plan.shard": "optimizer"}),
    case("plan.num_virtual_stages", 1, 2, PIPELINED),
    case("plan.microbatch_size", 1, 2),
    case("plan.schedule", "1f1b", "gpipe", {**PIPELINED, "framework": GONE}),
    case("plan.sequence_parallel", True, False),
    case("plan.shard", "none", "optimizer"),
    case("plan.recompute", "none", "full"),
    case("plan.recompute_layers", GONE, 1, {"plan.recompute": "full"}),
    case("plan.offload", "none", "optimizer", {"plan.shard": "optimizer"}),
    case("plan.rank_order", GONE, ["tp", "cp", "pp", "dp"], PIPELINED),
    case("plan.sync.method", "hierarchical", "flat", REPLICATED),
    case("plan.sync.every", GONE, 8),
    case("plan.sync.codecs.gradients", GONE, "int8_block", REPLICATED),
    case("plan.sync.codecs.activations", GONE, "int8_block", {**PIPELINED, "framework": GONE}),
    case("plan.sync.codecs.pseudogradients", GONE, "int8_block", LOCAL),
    case("plan.sync.streams", GONE, 4),
    case("plan.sync.fragments", GONE, 4, {**LOCAL, "plan.sync.method": "streaming_diloco"}),
    case("plan.sync.delay", GONE, 2, LOCAL),
    case("plan.sync.algorithm", "ring", "tree", {**REPLICATED, **THIRD_ZONE, **OTHERS, "plan.dp": 24}),
    case("plan.overlap_fraction", GONE, "50%"),
    case("plan.bucket_bytes", GONE, "1 MB"),
    case("plan.prefetch", GONE, 0, {"plan": SHARDED, "framework": {"name": "fsdp"}}),
    case("plan.stages.0.num_layers", 5, 4, STAGES, also={"plan.stages.1.num_layers": 4}),
    case("plan.stages.1.first_layer", 5, 4, STAGES),
    case("plan.stages.0.zone", "a", "b", STAGES, also={"plan.stages.1.zone": "a"}),
    case("plan.stages.0.node_group", 0, 1, {**STAGES, f"{ZONE}.nodes": [NODES, FAST]}),
    case("plan.stages.0.tp", GONE, 2, STAGES),
    case("plan.stages.0.dp", GONE, 4, STAGES),
    case("plan.stages.0.recompute", GONE, "full", STAGES),
    case(
        "plan.stages.0.recompute_layers",
        GONE,
        1,
        {**STAGES, "plan.recompute": "full", "plan.shard": "gradients", "framework": {"name": "torchtitan"}},
    ),
    case("plan.replicas.0.zones", ["a"], ["b"], REPLICAS, also={"plan.replicas.1.zones": ["a"]}),
    case("plan.replicas.0.num_replicas", 2, 3, REPLICAS),
    case("plan.replicas.0.num_microbatches", GONE, 4, REPLICAS),
    case("plan.replicas.0.weight", GONE, 0.125, REPLICAS),
    case("plan.replicas.0.own.microbatch_size", GONE, 2, OWN, also={"plan.replicas.0.num_microbatches": 2}),
    case("plan.replicas.0.own.dp_shard", 8, 2, OWN),
    case("plan.replicas.0.own.shard", GONE, "gradients", OWN),
    case("plan.replicas.0.own.recompute", GONE, "full", OWN),
    case("plan.replicas.0.own.recompute_layers", GONE, 2, {**OWN, "plan.replicas.0.own.recompute": "full"}),
    case("plan.idle_gpus.0.zone", "a", "b", IDLE),
    case("plan.idle_gpus.0.node_group", 0, 1, IDLE),
    case("plan.idle_gpus.0.num_gpus", 8, 4, IDLE),
    case("objective.minimize", "time", "cost", SEARCHED, searches=True),
    case("objective.budget", GONE, "0.01 USD", searches=True),
    case("objective.deadline", GONE, "1 s", searches=True),
    case("constraints.exclude_zones", [], ["b"], SEARCHED, searches=True),
    case("constraints.frameworks", [], ["horovod"], {**SEARCHED, "framework": GONE}, searches=True),
    case("constraints.allow", [], ["local_sgd"], {"plan": GONE, "framework": GONE}, searches=True),
    case("constraints.max_egress", GONE, "0.01 USD", SEARCHED, searches=True),
    case("constraints.min_replica_batch", GONE, 32, SEARCHED, searches=True),
)


def place(path: str) -> str:
    """The key of the schema that `path` is one case of."""
    parts = path.split(".")
    return "".join("[]" if part.isdecimal() else f".{part}" for part in parts).removeprefix(".")


def test_every_key_has_its_case() -> None:
    places = [key.place for key in keys()]
    leaves = {each for each in places if not any(other.startswith((f"{each}.", f"{each}[]")) for other in places)}
    covered = [place(one.path) for one in CASES]
    assert len(set(covered)) == len(covered)
    assert leaves == {*covered, *WITHOUT_EFFECT}


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.path)
def test_changing_a_key_changes_a_number_or_is_told(one: Case) -> None:
    before = _outcome(_job({**one.base, one.path: one.before}), one)
    after = _outcome(_job({**one.base, one.path: one.after, **one.also}), one)
    assert before[0] is not None, before[1]
    assert before[0] != after[0] or any(_names(one, notice) for notice in after[1])


def _job(changes: dict[str, Any]) -> dict[str, Any]:
    job = copy.deepcopy(BASE)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        target: Any = job
        for part in parents:
            target = target[part] if isinstance(part, int) else target.setdefault(part, {})
        if isinstance(target, list) and last == len(target):
            target.append(copy.deepcopy(value))
        elif value is not GONE:
            target[last] = copy.deepcopy(value)
        elif last in target:
            del target[last]
    return job


def _outcome(job: dict[str, Any], one: Case) -> tuple[dict[str, Any] | None, list[str]]:
    """(every number of the result, warnings); where the job is refused, no numbers but what is wrong."""
    try:
        problem = read_job(job)
        if one.searches:
            result = service.answer_json(service.plan(problem, top=1))
            result = {key: result[key] for key in ("plans", "baseline")}
        else:
            result = service.prediction_json(service.predict(problem))
    except CrossZoneError as error:
        return None, [str(error)]
    return dict(_numbers(result, "")), [f"{notice.where}: {notice.message}" for notice in problem.warnings]


def _numbers(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(item, f"{path}.{key}")
    elif not isinstance(value, str):
        yield path, value


def _names(one: Case, notice: str) -> bool:
    """Whether a warning is about the key, or the mapping that holds it; or it repeats the value."""
    where, _, message = notice.partition(": ")
    where = where.replace("[", ".").replace("]", "")
    return (where.count(".") > 0 and f"{one.path}.".startswith(f"{where}.")) or f" {one.after} " in message
