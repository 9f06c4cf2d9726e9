"""Deployments: the files of a plan, and how they get into a folder."""

from __future__ import annotations

import dataclasses
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import CrossZoneError, Finding, SpecError
from crosszone.service.files import decoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosszone.core.bundle import Bundle, FileChange
    from crosszone.core.plan import Plan
    from crosszone.core.problem import Problem
    from crosszone.core.rank_map import RankMap

LOCAL = "local"
SCALED = ("ddp", "fsdp", "deepspeed")
"""Whose bundles hold `scripts/evaluate_scaling.py`, which starts ranks by torchrun."""


def deploy(
    problem: Problem,
    *,
    backend: str,
    framework: str | None = None,
    plan: Plan | None = None,
    device: str = "cuda",
    num_steps: int | None = None,
    data: str | None = None,
    checkpoints: str | None = None,
    entry: str | None = None,
    entry_text: str | None = None,
    arguments: Sequence[str] = (),
    port: int | None = None,
    zone: str | None = None,
) -> Bundle:
    """The files that train `problem` by `plan` with `framework`, started over `backend`; nothing is written.

    `framework` None: that of `plan`, or of the job file. `plan` None: the one that `plan` ranks first for this
    framework; what the job file fixes stays. A program of one's
    own is taken to sum gradients flat where the job file says nothing else. `entry` is its path, `entry_text` such a
    program itself, `arguments` are passed on to it. `zone`: only the piece of that zone.
    SpecError for what must be known and is not, InfeasiblePlan where the plan does not fit, or the framework
    or a renderer cannot express it.
    """
    from importlib.metadata import version

    from crosszone.core.bundle import DEFAULT_PORT, NO_CHECKPOINTS, DeployRequest
    from crosszone.deploy.assemble import bundle
    from crosszone.deploy.request import check_request
    from crosszone.deploy.sums import flat_where_open
    from crosszone.frameworks import framework_facts
    from crosszone.service.scaling import scaling_files
    from crosszone.timeline.predict import predict_plan

    is_local, has_own = backend == LOCAL, (entry or entry_text) is not None
    request = DeployRequest(
        backend=backend,
        device=device,
        num_steps=num_steps,
        data_path=_absolute(data) if is_local else data,
        checkpoint_folder=_absolute(checkpoints) if is_local and checkpoints != NO_CHECKPOINTS else checkpoints,
        entry_text=entry_text if entry is None else decoded(read_bytes(entry, "program"), entry, kind="Python"),
        entry_arguments=tuple(arguments),
        port=DEFAULT_PORT if port is None else port,
        zone=zone,
    )
    name = framework or _own_framework(problem, plan)
    check_request(problem, name, request, is_planned=plan is not None)  # before a search is spent on it
    chosen = _plan_of(flat_where_open(problem) if has_own else problem, name, plan)
    prediction = predict_plan(problem, chosen, framework_facts(name))
    more_files = scaling_files(problem, chosen) if is_local and name in SCALED and not has_own else {}
    return bundle(problem, chosen, prediction, request, version=version("crosszone"), more_files=more_files)


def rank_map(problem: Problem, plan: Plan | None = None, *, zone: str | None = None) -> RankMap:
    """Which rank of `plan` is on which GPU, as `deploy` places them; None: the job file's plan, as `predict` has it.

    `zone`: only the nodes of that zone, beside a summary of all. SpecError where `plan` is of another problem,
    InfeasiblePlan where its groups do not fit into the nodes, UnknownName of a zone.
    """
    from crosszone.deploy.rank_map import rank_map as of_plan
    from crosszone.errors import UnknownName
    from crosszone.planner.complete import complete
    from crosszone.planner.pinned import check_plan

    names = [each.name for each in problem.cluster.zones]
    if zone is not None and zone not in names:
        raise UnknownName.among(zone, names, kind="zone", where="zone")
    if plan is not None:
        check_plan(problem, plan)
    return of_plan(plan or complete(problem), problem.cluster, zone=zone)


def rank_map_json(found: RankMap) -> dict[str, Any]:
    """Ranks JSON."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(found)
    return value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeployCell:
    """One framework over one backend, for a job."""

    framework: str
    backend: str
    errors: tuple[Finding, ...]
    """Why the job cannot be rendered so; none where it may be, which its plan still has to allow."""


def deploy_cells(
    problem: Problem,
    *,
    device: str = "cuda",
    num_steps: int | None = None,
    data: str | None = None,
    checkpoints: str | None = None,
) -> tuple[DeployCell, ...]:
    """Which framework may be rendered over which backend for `problem`; no plan is searched."""
    from crosszone.core.bundle import DeployRequest
    from crosszone.deploy.backends import backend_names
    from crosszone.deploy.frameworks import rendered_frameworks
    from crosszone.deploy.request import check_request

    found = []
    for framework, name in product(rendered_frameworks(), backend_names()):
        request = DeployRequest(
            backend=name, device=device, num_steps=num_steps, data_path=data, checkpoint_folder=checkpoints
        )
        errors: tuple[Finding, ...] = ()
        try:
            check_request(problem, framework, request)
        except CrossZoneError as error:
            errors = tuple(error.findings)
        found.append(DeployCell(framework=framework, backend=name, errors=errors))
    return tuple(found)


def bundle_changes(bundle: Bundle, folder: str | Path) -> tuple[FileChange, ...]:
    """How `bundle` differs from what is in `folder`. SpecError where that is no bundle's."""
    from crosszone.deploy.folder import changes

    return changes(bundle, Path(folder))


def write_bundle(bundle: Bundle, folder: str | Path, *, is_forced: bool = False) -> tuple[FileChange, ...]:
    """Put `bundle` into `folder`, whole or not at all; what changed. What a run left there stays.

    SpecError where the folder holds something else, or files that somebody edited and `is_forced` is not set;
    PreflightFailed where a run of what it holds is alive and something would change.
    """
    from crosszone.deploy.folder import changes
    from crosszone.deploy.folder import write_bundle as write
    from crosszone.launch.start import kept_idle

    if not changes(bundle, Path(folder)):
        return ()
    with kept_idle(Path(folder)):
        return write(bundle, Path(folder), is_forced=is_forced)


def bundle_json(bundle: Bundle, changes: Sequence[FileChange]) -> dict[str, Any]:
    """Deploy JSON: the files with their hashes, who starts which ranks, what changed in the folder.

    `piece` is null where the bundle starts all ranks, and not those of one zone of several.
    """
    from crosszone.core.codec import to_json

    return {
        "schema_version": 1,
        "files": [
            {"path": file.path, "sha256": file.sha256, "is_executable": file.is_executable} for file in bundle.files
        ],
        "world_size": bundle.launch.world_size,
        "agents": to_json(bundle.launch.agents),
        "piece": None if bundle.piece is None else {"zone": bundle.launch.only_zone, "message": bundle.piece},
        "changes": to_json(tuple(changes)),
        "assumed": list(bundle.assumed),
        "warnings": list(bundle.warnings),
    }


def _own_framework(problem: Problem, plan: Plan | None) -> str:
    """Of the plan, else of the job file. Errors: SpecError where neither says."""
    name = problem.framework if plan is None else plan.framework
    if name is None:
        hint = "Choose one, as fsdp, or write framework: {name: fsdp} into the job file."
        message = "neither the job file nor an option says which framework runs it."
        raise SpecError.of(message, code="missing", where="--framework", hint=hint)
    return name


def _plan_of(problem: Problem, framework: str, plan: Plan | None) -> Plan:
    from crosszone.planner.complete import complete
    from crosszone.planner.pinned import check_plan
    from crosszone.planner.ways import refuse_without_consent

    if plan is None:
        refuse_without_consent(problem)
        return complete(dataclasses.replace(problem, framework=framework))
    check_plan(problem, plan)
    if plan.framework != framework:
        hint = f"Choose {plan.framework}, or plan again with framework: {{name: {framework}}}."
        raise SpecError.of(f"the plan is for {plan.framework}, not {framework}.", where="--plan", hint=hint)
    return plan


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())
