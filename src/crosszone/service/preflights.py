"""Preflight: what the nodes of a job or bundle are asked before anything is launched on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import Finding, SpecError
from crosszone.service.files import decoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosszone.core.preflight import PreflightReport, ProbedNode, ProbeRequest
    from crosszone.core.problem import Problem
    from crosszone.core.ranks import RankReport

NEEDS = {
    "ddp": ("torch", "transformers"),
    "fsdp": ("torch", "transformers"),
    "deepspeed": ("torch", "transformers", "deepspeed"),
    "megatron": ("torch", "megatron-core"),
    "torchtitan": ("torch", "torchtitan"),
    "horovod": ("torch", "horovod"),
}
"""Packages without which a framework's ranks do not start; with a program of one's own, torch."""
CHECKPOINTS_ON_DISK = 3
"""Two are kept (`core.train.TrainCheckpoint`) while the next one is written."""


def probe_request(
    target: Problem | str | Path | None = None,
    *,
    port: int | None = None,
    window_seconds: float | None = None,
    has_ranks: bool = False,
) -> ProbeRequest:
    """What to look at: the nodes of a problem, of the bundle in a folder, or where None, this machine.

    SpecError where nodes have no addresses, the folder is no bundle's, or `has_ranks`, for `check_ranks` afterwards,
    and there is no bundle of the local backend.
    """
    from dataclasses import replace

    from crosszone.core.preflight import ProbedNode, ProbeRequest
    from crosszone.core.problem import Problem

    if has_ranks:
        _check_is_local(target)
    if target is None:
        here = ProbedNode(index=0, zone="", node_group=0, node=0, address=None)
        request = ProbeRequest(nodes=(here,), port=_default_port())
    elif isinstance(target, Problem):
        request = _of_problem(target)
    else:
        request = _of_bundle(Path(target))
    if port is not None:
        request = replace(request, port=port)
    return request if window_seconds is None else replace(request, window_seconds=window_seconds)


def preflight(
    request: ProbeRequest,
    *,
    reach: str | Path | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> PreflightReport:
    """Look at every node of `request` and at the paths between them; what stands in the way is told, never raised.

    A small program that needs Python alone runs on each node meanwhile: here, over ssh, or as the TOML file `reach`
    says. SpecError where that is wrong.
    """
    from crosszone.launch.preflight.reach_file import read_reach
    from crosszone.launch.preflight.report import preflight as look

    ways = {} if reach is None else read_reach(Path(reach))
    unknown = [address for address in ways if address not in {node.address for node in request.nodes}]
    if unknown:
        known = ", ".join(node.label for node in request.nodes)
        raise SpecError(
            *(
                Finding(
                    code="unknown_name",
                    where=str(reach),
                    message=f'no node is at "{address}".',
                    hint=f"Nodes are at {known}.",
                )
                for address in unknown
            )
        )
    return look(request, ways, on_progress=on_progress or (lambda fraction: None))


def preflight_json(report: PreflightReport, ranks: RankReport | None = None) -> dict[str, Any]:
    """Doctor JSON: the report, `links` as a job file takes them, and `ranks` where they were started."""
    from crosszone.core.codec import to_json
    from crosszone.launch.preflight.links import job_links

    value: dict[str, Any] = to_json(report)
    value["links"] = job_links(report.measured_links)
    value["ranks"] = to_json(ranks)
    return value


def check_ranks(folder: str | Path, *, num_ranks: int | None = None) -> RankReport:
    """Start the ranks of a local bundle, let them meet, add up their numbers, and take one step of its framework.

    The step is compared with the same step of one process. SpecError where the bundle is for other machines too.
    """
    from crosszone.core.plan import SHARDS
    from crosszone.launch.preflight.ranks import run_ranks

    _check_is_local(folder)
    manifest = _manifest(Path(folder))
    asked, plan = manifest["request"], _plan(manifest)
    return run_ranks(
        num_ranks=num_ranks or plan.world_size,
        device=asked["device"],
        framework=manifest["framework"],
        zero_stage=SHARDS.index(plan.shard),
    )


def _check_is_local(target: Problem | str | Path | None) -> None:
    if not isinstance(target, str | Path):
        hint = "crosszone doctor DIR --ranks, with what `crosszone deploy --backend local` wrote."
        raise SpecError.of("ranks are started from a bundle.", where="--ranks", hint=hint, code="usage")
    backend = _manifest(Path(target))["request"]["backend"]
    if backend != "local":
        raise SpecError.of(
            f"the bundle is for the backend {backend}; --ranks starts ranks on this machine only.",
            where=str(target),
            hint="Render one with --backend local, here or on the node in question.",
        )


def _of_problem(problem: Problem) -> ProbeRequest:
    from crosszone.core.preflight import ProbedNode, ProbeRequest

    nodes: list[ProbedNode] = []
    missing = []
    for zone_index, zone in enumerate(problem.cluster.zones):
        for group_index, group in enumerate(zone.node_groups):
            if not group.addresses:
                missing.append(f"cluster.zones[{zone_index}].nodes[{group_index}].addresses")
            for node, address in enumerate(group.addresses):
                nodes.append(
                    ProbedNode(
                        index=len(nodes),
                        zone=zone.name,
                        node_group=group_index,
                        node=node,
                        address=address,
                        interface=group.interface,
                    )
                )
    if missing:
        raise SpecError(*(_no_address(where) for where in missing))
    _check_text(nodes)
    return ProbeRequest(nodes=tuple(nodes), port=_default_port(), links=problem.cluster.links, needs=("torch",))


def _of_bundle(folder: Path) -> ProbeRequest:
    from crosszone.core.bundle import MANIFEST_PATH, NO_CHECKPOINTS
    from crosszone.core.codec import from_json
    from crosszone.core.preflight import ProbedNode, ProbeRequest
    from crosszone.core.problem import Problem
    from crosszone.deploy.ranks import agents, rank_grid

    manifest = _manifest(folder)
    asked = manifest["request"]
    problem, plan = from_json(Problem, manifest["problem"], where=f"{folder}/{MANIFEST_PATH}: problem"), _plan(manifest)
    found = agents(rank_grid(plan, problem.cluster), problem.cluster)
    by_node = {agent.node_key: agent for agent in reversed(found)}
    ordered = sorted(by_node.values(), key=lambda agent: agent.index)
    if asked["backend"] == "local":
        ordered = ordered[:1]
    elif any(agent.address is None for agent in ordered):
        places = sorted({(each.zone_index, each.node_group) for each in ordered if each.address is None})
        raise SpecError(*(_no_address(f"cluster.zones[{zone}].nodes[{group}].addresses") for zone, group in places))
    nodes = tuple(
        ProbedNode(
            index=index,
            zone=agent.zone,
            node_group=agent.node_group,
            node=agent.node,
            address=None if asked["backend"] == "local" else agent.address,
            interface=agent.interface,
        )
        for index, agent in enumerate(ordered)
    )
    _check_text(nodes)
    saved_at = asked["checkpoint_folder"]
    return ProbeRequest(
        nodes=nodes,
        port=manifest.get("port", asked["port"]),
        links=problem.cluster.links,
        checkpoint_folder=None if saved_at == NO_CHECKPOINTS else saved_at,
        checkpoint_bytes=None if saved_at == NO_CHECKPOINTS else _checkpoint_bytes(manifest),
        needs=("torch",) if "entry.py" in manifest["files"] else NEEDS.get(manifest["framework"], ("torch",)),
        needs_gpus=asked["device"] == "cuda",
    )


def _manifest(folder: Path) -> Mapping[str, Any]:
    from crosszone.core.bundle import BUNDLE_KIND, MANIFEST_PATH

    path = folder / MANIFEST_PATH
    try:
        value = json.loads(decoded(read_bytes(path, "bundle"), str(path), kind="JSON"))
        if value["kind"] == BUNDLE_KIND:
            return dict(value)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, SpecError):
            raise
    raise SpecError.of("is no bundle.", where=str(folder), hint="`crosszone deploy` writes one.", code="no_bundle")


def _plan(manifest: Mapping[str, Any]) -> Any:
    from crosszone.core.bundle import MANIFEST_PATH
    from crosszone.core.codec import from_json
    from crosszone.core.plan import Plan

    return from_json(Plan, manifest["plan"], where=f"{MANIFEST_PATH}: plan")


def _checkpoint_bytes(manifest: Mapping[str, Any]) -> float | None:
    size_bytes = (manifest["prediction"].get("reliability") or {}).get("checkpoint_bytes")
    return None if size_bytes is None else CHECKPOINTS_ON_DISK * float(size_bytes)


def _check_text(nodes: list[ProbedNode] | tuple[ProbedNode, ...]) -> None:
    """Addresses go into command lines. SpecError for those that are none."""
    from crosszone.deploy.checked_text import ADDRESS

    wrong = [
        Finding(
            code="bad_text",
            where="addresses",
            message=f"{json.dumps(node.address)} is not a host name or IP address.",
            hint="Write it as the node knows it.",
        )
        for node in nodes
        if node.address is not None and not ADDRESS.fullmatch(node.address)
    ]
    if wrong:
        raise SpecError(*wrong)


def _no_address(where: str) -> Finding:
    return Finding(
        code="missing",
        where=where,
        message="nodes are reached by their addresses, and none are written.",
        hint="Write addresses: [host, ...], one per node; or look at this machine with `crosszone doctor` alone.",
    )


def _default_port() -> int:
    from crosszone.core.bundle import DEFAULT_PORT

    return DEFAULT_PORT
