"""Every framework over every backend, for six kinds of plan: what is rendered, why not, and what proved it.

`python benchmarks/bundles/cells.py --write` renders them all and writes docs/reference/cells.md; without `--write` it
prints the page. The conformance tests of bundles take their kinds of plan from here.
"""

import itertools
import sys
from functools import cache
from pathlib import Path
from typing import Any

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.backends import backend_names
from crosszone.deploy.frameworks import rendered_frameworks
from crosszone.errors import CrossZoneError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/cells.md"
A100, V100 = "a100-sxm4-80gb", "v100-sxm2-16gb"
PLACE = {"region": "gcp:us-central1"}
"""Where skypilot rents."""


def group(zone: int, index: int, count: int, gpus_per_node: int, gpu: str = A100) -> dict[str, Any]:
    """A node group with an address for each node."""
    addresses = [f"10.{zone}.{index}.{node + 1}" for node in range(count)]
    sizes = {"count": count, "gpus_per_node": gpus_per_node}
    return {**sizes, "gpu": gpu, "network": "100 Gbit/s", "addresses": addresses}


THREE = [[group(zone, 0, 1, 2)] for zone in range(3)]
UNEVEN = [[group(0, 0, 1, 1)], [group(1, 0, 1, 2)], [group(2, 0, 1, 3)]]
KINDS: dict[str, tuple[list[list[dict[str, Any]]], dict[str, Any]]] = {
    "one node": ([[group(0, 0, 1, 4)]], {"dp": 4}),
    "one zone": ([[group(0, 0, 2, 2)]], {"dp": 4}),
    "three zones dp": (THREE, {"dp": 6}),
    "three zones pp": (THREE, {"pp": 3, "dp": 2}),
    "uneven nodes": (UNEVEN, {"dp": 6}),
    "mixed GPUs": ([[group(0, 0, 1, 2), group(0, 1, 1, 2, V100)]], {"dp": 4}),
}
"""(node groups of each zone, plan) by name."""
CELLS = tuple(itertools.product(rendered_frameworks(), backend_names(), KINDS))
CPU_BACKENDS = ("local",)
"""Several nodes' ranks on one machine are for trying out: on its CPUs, where the framework trains there."""
GPUS_ONLY = ("torchtitan", "megatron")
"""Which do not."""
PROVED = {
    "ddp": (
        ("trains ten steps on CPU, resumes to the last bit", "tests/e2e/test_runtime.py"),
        ("its bundle trains as it is", "tests/e2e/test_run.py"),
    ),
    "fsdp": (
        ("FSDP2 and HSDP train what one process trains", "tests/e2e/test_runtime.py"),
        ("its bundle trains as it is", "tests/e2e/test_bundles.py"),
    ),
    "deepspeed": (
        ("DeepSpeed's own DeepSpeedConfig, at the plan's world size", "tests/conformance/test_deepspeed_config.py"),
        ("ZeRO and pipeline bundles train as they are", "tests/e2e/test_bundles.py"),
    ),
    "megatron": (
        ("Megatron-LM's own arguments, rank groups and models", "tests/conformance/test_megatron_arguments.py"),
    ),
    "torchtitan": (
        ("torchtitan's own configuration, mesh and model", "tests/conformance/test_torchtitan_config.py"),
        ("its own trainer on CPU", "tests/conformance/test_torchtitan_trains.py"),
    ),
    "horovod": (
        ("horovodrun's own parser and host assignment", "tests/conformance/test_horovodrun.py"),
        ("a real build trains and resumes (`make soak`)", "tests/e2e/test_horovod.py"),
    ),
    "local": (("bundles train as they are", "tests/e2e/test_bundles.py"),),
    "bare": (("launch files of uneven nodes meet and train", "tests/e2e/test_bundles.py"),),
    "ssh": (("two real sshds: copied, started, followed, stopped", "tests/e2e/test_ssh.py"),),
    "slurm": (("a real Slurm takes every kind of job and trains one", "tests/e2e/test_slurm.py"),),
    "mpi": (("a real Open MPI: ranks where the plan has them; two train", "tests/e2e/test_mpi.py"),),
    "kubernetes": (
        ("every object under Kubeflow's own models", "tests/conformance/test_kubernetes_models.py"),
        ("what pods run trains here", "tests/e2e/test_scheduled_nodes.py"),
    ),
    "skypilot": (
        ("every task under `sky.Task` (`make soak`)", "tests/conformance/test_skypilot_tasks.py"),
        ("what rented nodes run trains here", "tests/e2e/test_scheduled_nodes.py"),
    ),
}
"""What ran against the real thing, by framework and by backend, with the test that runs it."""
INTRO = """# Cells

Every framework over every backend, written by `python benchmarks/bundles/cells.py --write`. A number is how many of
{num_kinds} kinds of plan are rendered: {names}. A letter says why the rest is refused, with exit code 3. `local` is
tried on one machine's CPUs where the framework trains there. Every script of every cell passes `bash -n` and
shellcheck, and every torchrun command torchrun's own parser (tests/conformance/test_backends.py); no text of a job
becomes code in any of them (tests/conformance/test_hostile_text.py).
"""


def job(kind: str, framework: str) -> dict[str, Any]:
    """A job file that a laptop can train, with a plan of this kind, as this framework can take it."""
    zones, plan = KINDS[kind]
    found: dict[str, Any] = {
        "model": {
            "num_layers": 6,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 32, "global_batch_size": 24, "precision": "fp32"},
        "cluster": {"zones": [{"name": f"zone{index}", **PLACE, "nodes": nodes} for index, nodes in enumerate(zones)]},
        "plan": {"microbatch_size": 1, **plan},
    }
    if len(zones) > 1:
        found["cluster"]["default_link"] = {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}
    if framework == "fsdp" and "pp" not in plan:
        found["plan"] |= {"shard": "parameters", "dp_shard": 2 if kind == "mixed GPUs" else plan["dp"]}
    if framework == "torchtitan" and "pp" in plan:
        found["plan"] |= {"shard": "parameters", "dp_shard": plan["dp"]}
    if framework == "megatron":  # fuses attention in 16 bits only
        found["workload"]["precision"] = "fp16"
    return found


@cache
def rendered(framework: str, backend: str, kind: str) -> Bundle:
    """The bundle of a cell. Errors: CrossZoneError where it is refused."""
    on_cpu = backend in CPU_BACKENDS and framework not in GPUS_ONLY
    return service.deploy(
        service.read(job(kind, framework)),
        framework=framework,
        backend=backend,
        device="cpu" if on_cpu else "cuda",
        num_steps=10,
        checkpoints="none",
    )


@cache
def refusal(framework: str, backend: str, kind: str) -> str | None:
    """Why a cell is refused; None where it is rendered."""
    try:
        rendered(framework, backend, kind)
    except CrossZoneError as error:
        return " ".join(finding.message for finding in error.findings)
    return None


def page() -> str:
    """The text of docs/reference/cells.md."""
    notes: dict[str, str] = {}
    rows = [
        "| | " + " | ".join(f"`{name}`" for name in backend_names()) + " |",
        "|---" * (len(backend_names()) + 1) + "|",
    ]
    for framework in rendered_frameworks():
        cells = [_cell(framework, backend, notes) for backend in backend_names()]
        rows.append(f"| `{framework}` | " + " | ".join(cells) + " |")
    reasons = [f"- **{letter}** {reason}" for reason, letter in notes.items()]
    proofs = ["| | proved by | test |", "|---|---|---|"]
    for name in (*rendered_frameworks(), *backend_names()):
        proofs += [f"| `{name}` | {what} | `{test}` |" for what, test in PROVED[name]]
    intro = INTRO.format(num_kinds=len(KINDS), names=", ".join(KINDS))
    return "\n".join([intro, *rows, "", *reasons, "", "## What proved it", "", *proofs]) + "\n"


def _cell(framework: str, backend: str, notes: dict[str, str]) -> str:
    refused = {kind: refusal(framework, backend, kind) for kind in KINDS}
    by_reason: dict[str, list[str]] = {}
    for kind, reason in refused.items():
        if reason is not None:
            by_reason.setdefault(reason, []).append(kind)
    letters = []
    for reason, kinds in by_reason.items():
        text = reason if len(kinds) == len(KINDS) else f"{', '.join(kinds)}: {reason}"
        letters.append(notes.setdefault(text, chr(ord("a") + len(notes))))
    count = len(KINDS) - sum(len(kinds) for kinds in by_reason.values())
    return f"{count} " + "".join(f"**{letter}**" for letter in letters) if letters else str(count)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
