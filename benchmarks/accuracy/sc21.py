"""Predicted against published throughput of the ten runs of Narayanan et al. 2021 (SC21), Table 1.

    python benchmarks/accuracy/sc21.py            print the table
    python benchmarks/accuracy/sc21.py --write    and keep it beside this file

The rows are in tests/golden/sc21.toml. Beside the model stands a null model: half of the peak, always.
"""

import datetime
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crosszone.catalog.gpus import gpu
from crosszone.core.cluster import Cluster, Fabric, NodeGroup, Zone
from crosszone.core.framework import Framework
from crosszone.core.model import Model
from crosszone.core.plan import Plan, Replica, Stage
from crosszone.core.problem import Problem
from crosszone.core.workload import Workload, standard_dtypes
from crosszone.frameworks import framework_facts
from crosszone.timeline.predict import predict_plan

ROWS = Path(__file__).parents[2] / "tests" / "golden" / "sc21.toml"
TABLE = Path(__file__).with_suffix(".txt")
GPU = "a100-sxm4-80gb"
SEQUENCE_LENGTH, VOCAB_SIZE = 2048, 51200
NULL_FRACTION = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One published run beside what is said of it; errors are predicted / published - 1."""

    name: str
    num_gpus: int
    published_seconds: float
    predicted_seconds: float
    null_seconds: float
    achieved_flop_per_second: float

    @property
    def error(self) -> float:
        """Of the model."""
        return self.predicted_seconds / self.published_seconds - 1.0

    @property
    def null_error(self) -> float:
        """Of half of the peak."""
        return self.null_seconds / self.published_seconds - 1.0


def comparisons(facts: Framework | None = None) -> tuple[Comparison, ...]:
    """All ten rows; `facts` stands in for the Megatron-LM of 2021."""
    data = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    return tuple(_comparison(row, data, facts or framework_of_2021(data)) for row in data["rows"])


def framework_of_2021(data: dict[str, Any]) -> Framework:
    """Today's Megatron with what the Megatron-LM of 2021 did otherwise."""
    changed = {name: fact["value"] for name, fact in data["framework"].items() if isinstance(fact, dict)}
    return replace(framework_facts("megatron"), version=data["framework"]["version"], **changed)


def mape(errors: tuple[float, ...]) -> float:
    """Mean absolute percentage error, as a fraction."""
    return sum(abs(error) for error in errors) / len(errors)


def step_flop(row: dict[str, Any]) -> float:
    """Hardware FLOP of one step, recomputation included: 96 B s l h^2 (1 + s/6h + V/16lh), the paper's eq. 3."""
    layers, hidden = row["num_layers"], row["hidden_size"]
    inner = 1 + SEQUENCE_LENGTH / (6 * hidden) + VOCAB_SIZE / (16 * layers * hidden)
    return float(96 * row["global_batch_size"] * SEQUENCE_LENGTH * layers * hidden**2 * inner)


def problem(row: dict[str, Any], dtypes: dict[str, str]) -> Problem:
    """The run as the paper sets it up: DGX A100 nodes, one zone."""
    part = gpu(GPU)
    assert part.fabric_bytes_per_second is not None
    assert part.system_network_bytes_per_second is not None
    nodes = NodeGroup(
        num_nodes=row["num_gpus"] // 8,
        gpu=part,
        gpus_per_node=8,
        fabric=Fabric(kind="nvlink", num_gpus=8, bytes_per_second=part.fabric_bytes_per_second),
        network_bytes_per_second=part.system_network_bytes_per_second,
        num_rails=8,
    )
    model = Model(
        name=row["name"],
        num_layers=row["num_layers"],
        hidden_size=row["hidden_size"],
        ffn_size=4 * row["hidden_size"],
        num_heads=row["num_heads"],
        num_kv_heads=row["num_heads"],
        head_size=row["hidden_size"] // row["num_heads"],
        vocab_size=VOCAB_SIZE,
        gated_ffn=False,
        tied_embeddings=True,
        qkv_bias=True,
        attention_output_bias=True,
        ffn_bias=True,
        norm="layernorm",
        norm_bias=True,
        position="learned",
        num_position_rows=SEQUENCE_LENGTH,
    )
    workload = Workload(
        sequence_length=SEQUENCE_LENGTH,
        global_batch_size=row["global_batch_size"],
        dtypes=replace(standard_dtypes("fp16"), **dtypes),
        attention="unfused",
    )
    return Problem(model=model, workload=workload, cluster=Cluster(zones=(Zone(name="selene", node_groups=(nodes,)),)))


def plan(row: dict[str, Any]) -> Plan:
    """The run's layout."""
    tp, pp, virtual = row["tp"], row["pp"], row["num_virtual_stages"]
    dp, layers = row["num_gpus"] // (tp * pp), row["num_layers"] // pp
    replica = Replica(
        num_replicas=dp,
        zones=("selene",) * pp,
        node_groups=(0,) * pp,
        num_microbatches=row["global_batch_size"] // (dp * row["microbatch_size"]),
        weight=1.0,
    )
    return Plan(
        framework="megatron",
        tp=tp,
        pp=pp,
        cp=1,
        ep=1,
        dp=dp,
        dp_shard=1,
        num_virtual_stages=virtual,
        microbatch_size=row["microbatch_size"],
        schedule="interleaved_1f1b" if virtual > 1 else "1f1b",
        sequence_parallel=False,
        shard="none",
        recompute="full",
        stages=tuple(
            Stage(
                first_layer=stage * layers,
                num_layers=layers,
                zone="selene",
                node_group=0,
                tp=tp,
                dp=dp,
                recompute="full",
            )
            for stage in range(pp)
        ),
        replicas=(replica,),
    )


def table(found: tuple[Comparison, ...]) -> str:
    """The comparison as text."""
    lines = ["run           GPUs  published  predicted   error  half of peak   error"]
    lines += [
        f"{one.name:<12}{one.num_gpus:>6}{one.published_seconds:>9.3f} s{one.predicted_seconds:>9.3f} s"
        f"{one.error:>+8.1%}{one.null_seconds:>12.3f} s{one.null_error:>+8.1%}"
        for one in found
    ]
    model, null = (mape(tuple(errors)) for errors in zip(*((one.error, one.null_error) for one in found), strict=True))
    lines.append(f"{'MAPE':<18}{'':>22}{model:>8.1%}{'':>14}{null:>8.1%}")
    return "\n".join(lines)


def main() -> None:
    """Print the table; with --write keep it."""
    text = table(comparisons())
    print(text)
    if "--write" in sys.argv[1:]:
        head = f"python benchmarks/accuracy/sc21.py --write, {datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
        TABLE.write_text(f"{head}\n\n{text}\n", encoding="utf-8")


def _comparison(row: dict[str, Any], data: dict[str, Any], facts: Framework) -> Comparison:
    peak = gpu(GPU).peak("fp16")
    assert peak is not None
    per_gpu_flop = step_flop(row) / row["num_gpus"]
    return Comparison(
        name=row["name"],
        num_gpus=row["num_gpus"],
        published_seconds=per_gpu_flop / row["achieved_flop_per_second"],
        predicted_seconds=predict_plan(problem(row, data["dtypes"]), plan(row), facts).step_seconds,
        null_seconds=per_gpu_flop / (NULL_FRACTION * peak),
        achieved_flop_per_second=row["achieved_flop_per_second"],
    )


if __name__ == "__main__":
    main()
