"""What is installed on nodes: what ranks need, whether it goes together, and whether it is the same everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from operator import methodcaller

from crosszone import units
from crosszone.core.preflight import ERROR, WARNING, NodeFacts, PreflightFinding, ProbedNode, ProbeRequest
from crosszone.launch.preflight.seen import Seen

STRICT_VERSIONS = ("torch", "deepspeed", "megatron-core", "torchtitan", "horovod")
"""Ranks with different ones fail or hang in the first collective, or disagree in silence."""
USED_GPU_FRACTION = 0.1
"""Of its memory. Chosen: a desktop takes less."""
LEAST_DRIVERS = {11: 450, 12: 525, 13: 580}
"""Driver branch that a major version of CUDA needs at least. Source: NVIDIA, "CUDA Compatibility", minor version
compatibility, table 1 (docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html, 2026-11-21)."""


def version_findings(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """What nodes lack, what on one does not go together, and in what they differ."""
    for node, facts in zip(request.nodes, seen.facts, strict=True):
        if facts is not None:
            yield from _lacks(request, node, facts)
            yield from _torch_and_driver(request, node, facts)
    yield from _versions(request, seen)


def _lacks(request: ProbeRequest, node: ProbedNode, facts: NodeFacts) -> Iterator[PreflightFinding]:
    for name in request.needs:
        if facts.package(name) is None:
            yield PreflightFinding(
                code="missing_package",
                severity=ERROR,
                where=node.label,
                message=f"{name} is not installed for {facts.python_path} ({facts.python_version}).",
                cause="The ranks' Python is another one, or nothing was installed yet.",
                fix=f"Install {name} for it, or set PYTHON on the node to the interpreter that has it.",
            )
    if request.needs_gpus and not facts.gpus:
        yield PreflightFinding(
            code="no_gpu",
            severity=ERROR,
            where=node.label,
            message="nvidia-smi lists no GPU, but ranks are to compute on GPUs.",
            cause="There is no driver, no GPU, or the container was not given any.",
            fix="Install the driver or give the container its GPUs; or deploy for CPUs to try out.",
        )
    for index, gpu in enumerate(facts.gpus):
        if gpu.free_bytes is None or not gpu.memory_bytes:
            continue
        if gpu.free_bytes < (1 - USED_GPU_FRACTION) * gpu.memory_bytes:
            yield PreflightFinding(
                code="gpu_in_use",
                severity=WARNING,
                where=f"{node.label}, GPU {index}",
                message=f"only {units.format_bytes(gpu.free_bytes)} of its {units.format_bytes(gpu.memory_bytes)} "
                "are free.",
                cause="Another program holds the rest.",
                fix="End it (`nvidia-smi` names it) before ranks start.",
            )
    if len(request.nodes) > 1 and facts.missing_programs:
        yield PreflightFinding(
            code="missing_program",
            severity=WARNING,
            where=node.label,
            message=f"{', '.join(facts.missing_programs)} not found, which launch files may call.",
            cause="The image is a small one.",
            fix="Install them (iproute2, gawk, tar, util-linux), or write `interface` in the job file.",
        )


def _torch_and_driver(request: ProbeRequest, node: ProbedNode, facts: NodeFacts) -> Iterator[PreflightFinding]:
    """GPUs are of use to a torch that was built for them, and to a driver that is new enough for it."""
    severity = ERROR if request.needs_gpus else WARNING
    torch = facts.package("torch")
    if torch is None:
        if not request.needs:
            yield PreflightFinding(
                code="no_torch",
                severity=WARNING,
                where=node.label,
                message=f"torch is not installed for {facts.python_path}.",
                cause="Plans and predictions do not need it; training does.",
                fix="Install crosszone[train], or set PYTHON to an interpreter that has it, before you train here.",
            )
        return
    if facts.gpus and facts.cuda_version is None:
        yield PreflightFinding(
            code="cpu_torch",
            severity=severity,
            where=node.label,
            message=f"torch {torch} was built without CUDA, but there are {len(facts.gpus)} GPUs.",
            cause="A wheel for CPUs was installed.",
            fix="Install the CUDA build, as pytorch.org/get-started names it for this driver.",
        )
    major = _major(facts.cuda_version)
    branch, least = _major(facts.driver_version), LEAST_DRIVERS.get(major or 0)
    if branch is not None and least is not None and branch < least:
        yield PreflightFinding(
            code="old_driver",
            severity=severity,
            where=node.label,
            message=f"driver {facts.driver_version} is older than {least}, which CUDA {facts.cuda_version} of torch "
            "needs.",
            cause="torch brings its own CUDA, but the driver is the node's.",
            fix=f"Update the driver to {least} or newer, or install a torch that was built for an older CUDA.",
        )


def _major(version: str | None) -> int | None:
    head = (version or "").partition(".")[0]
    return int(head) if head.isdigit() else None


def _versions(request: ProbeRequest, seen: Seen) -> Iterator[PreflightFinding]:
    """Nodes that run something else than most do."""
    readers: list[tuple[str, str, Callable[[NodeFacts], str | None]]] = [
        ("Python", ERROR, lambda facts: ".".join(facts.python_version.split(".")[:2])),
        ("CUDA of torch", ERROR, lambda facts: facts.cuda_version),
        ("NCCL", ERROR, lambda facts: facts.nccl_version),
        ("driver", WARNING, lambda facts: facts.driver_version),
        ("congestion control", WARNING, lambda facts: facts.congestion_control),
    ]
    readers += [(name, ERROR, methodcaller("package", name)) for name in STRICT_VERSIONS]
    for name, severity, read in readers:
        by_node = {
            node.label: read(facts) for node, facts in zip(request.nodes, seen.facts, strict=True) if facts is not None
        }
        known = {label: value for label, value in by_node.items() if value is not None}
        (usual, _), *rest = Counter(known.values()).most_common() or [("", 0)]
        if not rest:
            continue
        odd = {label: value for label, value in known.items() if value != usual}
        yield PreflightFinding(
            code="versions_differ",
            severity=severity,
            where=", ".join(odd),
            message=f"{name} is {', '.join(f'{value} on {label}' for label, value in odd.items())}, but {usual} on "
            f"{', '.join(label for label, value in known.items() if value == usual)}.",
            cause="The nodes were installed at different times or from different images.",
            fix=f"Bring {name} to {usual} on {', '.join(odd)}, or start all nodes from one image.",
        )
