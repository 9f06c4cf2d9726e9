"""A bundle from a problem, its plan and its prediction: rendered, never executed."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from crosszone.core.bundle import (
    BUNDLE_KIND,
    MANIFEST_PATH,
    NO_CHECKPOINTS,
    TORCHRUN,
    Agent,
    Bundle,
    BundleFile,
    DeployRequest,
    Launch,
    Program,
)
from crosszone.core.codec import fingerprint, to_json
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction, StageMemory
from crosszone.core.problem import Problem
from crosszone.deploy.backends import backend
from crosszone.deploy.checked_text import text_problems
from crosszone.deploy.container import base_image, container_text, requirements_text
from crosszone.deploy.entry import ENTRY_PATH, trainer_files
from crosszone.deploy.environment import environment, environment_warnings
from crosszone.deploy.frameworks import framework_renderer
from crosszone.deploy.idle import idle_warnings
from crosszone.deploy.pieces import is_piece, piece_text
from crosszone.deploy.places import lacking, no_checkpoints, of_working
from crosszone.deploy.ranks import agents, rank_grid, shared_addresses
from crosszone.deploy.readme import readme_text
from crosszone.deploy.scripts import ENVIRONMENT_PATH, environment_text
from crosszone.deploy.shipped import shipped_files
from crosszone.deploy.sums import sum_warnings
from crosszone.deploy.topology import cluster_text, hostfile_text
from crosszone.deploy.trainer import ladder, trainer_assumptions
from crosszone.errors import Finding, InfeasiblePlan, SpecError, UnknownName
from crosszone.frameworks import framework_facts, supports
from crosszone.timeline.fit import plan_host_shortage
from crosszone.timeline.inputs import inputs
from crosszone.units import format_bytes


def bundle(
    problem: Problem,
    plan: Plan,
    prediction: Prediction,
    request: DeployRequest,
    *,
    version: str = "",
    more_files: Mapping[str, str] | None = None,
) -> Bundle:
    """Every file that starts `plan` over the backend of `request`, and `more_files`; `version` is the program's.

    Errors: SpecError for what must be known and is not, InfeasiblePlan where the framework, its renderer or the
    backend cannot express the plan, or where it does not fit in memory; UnknownName.
    """
    framework = framework_renderer(plan.framework)
    chosen = backend(request.backend)
    _check_plan(problem, plan, prediction, request)
    _check_zone(plan, request)
    program = framework.program(problem, plan, prediction, request)
    launch = _launch(problem, plan, prediction, request, program)
    _check_launch(_addressed(launch, chosen), request, chosen)

    def training_files(launch: Launch) -> dict[str, str]:
        own = framework.files(problem, plan, prediction, request, launch)
        return {**own, **_common(launch, request, framework, program), **(more_files or {})}

    # Some backends make addresses out of the identity: it is of the files as they are without.
    identity = fingerprint(request.backend, launch, training_files(launch))
    launch = _addressed(dataclasses.replace(launch, identity=identity), chosen)
    assumed = (*prediction.assumed, *_assumed(problem, plan, prediction, request, launch), *program.assumed)
    warnings = (
        *prediction.warnings,
        *idle_warnings(launch),
        *environment_warnings(problem, plan, launch),
        *sum_warnings(problem, plan, prediction, request),
        *program.warnings,
    )
    files = {**training_files(launch), **chosen.render(launch)}
    for language, path in (("en", "README.md"), ("zh", "README.zh.md")):
        files[path] = readme_text(
            language,
            launch=launch,
            plan=plan,
            prediction=prediction,
            backend=chosen,
            assumed=assumed,
            warnings=warnings,
        )
    files[MANIFEST_PATH] = _manifest(problem, plan, prediction, request, launch, files, version, assumed, warnings)
    made = tuple(BundleFile(path=path, text=text) for path, text in sorted(files.items()))
    piece = piece_text(launch) if is_piece(launch) else None
    return Bundle(files=made, launch=launch, assumed=assumed, warnings=warnings, piece=piece)


def _check_plan(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> None:
    reasons = supports(plan.framework, plan)
    if reasons:
        raise InfeasiblePlan(*(Finding(code="not_expressible", where="plan", message=reason) for reason in reasons))
    if not prediction.memory.fits and request.device == "cuda":
        raise InfeasiblePlan(_no_room(problem, plan, prediction.memory.fullest))


def _no_room(problem: Problem, plan: Plan, fullest: StageMemory) -> Finding:
    lacking = plan_host_shortage(inputs(problem, (framework_facts(plan.framework),)), plan)
    if fullest.filled_fraction > 1.0:
        lacking = (
            f"stage {fullest.stage} in {fullest.zone} needs {format_bytes(fullest.total_bytes)} on its fullest rank, "
            f"but its GPU ({fullest.gpu}) has {format_bytes(fullest.capacity_bytes)}"
        )
    return Finding(
        code="no_memory",
        where="plan",
        message=f"{lacking}.",
        hint="Compare frameworks to see what fits with each; what the job file leaves out of plan is searched.",
    )


def _check_launch(launch: Launch, request: DeployRequest, chosen: ModuleType) -> None:
    impossible = tuple(chosen.problems(launch)) if hasattr(chosen, "problems") else ()
    if impossible:
        raise InfeasiblePlan(*impossible)
    missing = (
        *_missing(launch, request, chosen),
        *(chosen.missing(launch) if hasattr(chosen, "missing") else ()),
        *text_problems(launch, request),
        *shared_addresses(launch),
    )
    if missing:
        raise SpecError(*missing)


def _check_zone(plan: Plan, request: DeployRequest) -> None:
    if request.zone is not None and request.zone not in plan.zones:
        raise UnknownName.among(request.zone, plan.zones, kind="zone of the plan", where="--zone")


def _launch(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, program: Program) -> Launch:
    limits = ladder(problem, plan, prediction)
    found = agents(rank_grid(plan, problem.cluster), problem.cluster)
    if request.backend == "local" and request.device == "cpu":
        found = (_on_one_machine(found),)
    own = request.entry_text is not None
    return Launch(
        agents=found,
        only_zone=request.zone,
        argv=(ENTRY_PATH, *request.entry_arguments) if own else program.argv,
        check=() if own else program.check,
        environment=(*environment(problem, plan, limits, request.device), *program.environment),
        launcher=program.launcher,
        saves_when_stopped=program.saves_when_stopped and not own and request.checkpoint_folder != NO_CHECKPOINTS,
        device=request.device,
        port=request.port,
        is_standalone=program.launcher == TORCHRUN and len(found) == 1,
        timeouts=limits,
        zones=problem.cluster.zones,
        data_path=request.data_path,
        checkpoint_folder=request.checkpoint_folder,
        packages=program.packages,
        image=program.image,
        setup=program.setup,
    )


def _addressed(launch: Launch, chosen: ModuleType) -> Launch:
    """The launch with the addresses that its backend gives to nodes, where it gives them."""
    return chosen.addressed(launch) if hasattr(chosen, "addressed") else launch


def _on_one_machine(found: tuple[Agent, ...]) -> Agent:
    """One agent that starts the ranks of all, none of them on a GPU."""
    first = found[0]
    return Agent(
        index=0,
        zone=first.zone,
        zone_index=first.zone_index,
        node_group=first.node_group,
        node=first.node,
        address=None,
        interface=None,
        image=first.image,
        gpus=tuple(range(sum(agent.num_ranks for agent in found))),
        has_whole_node=True,
        first_rank=0,
    )


def _missing(launch: Launch, request: DeployRequest, chosen: ModuleType) -> Iterator[Finding]:
    """What must be known of a launch over several nodes, and is not."""
    if launch.num_nodes >= (chosen.ADDRESSES_FROM or 1):
        working = sorted({(agent.zone_index, agent.node_group) for agent in launch.agents})
        yield from of_working(working, lacking(launch.zones, request, chosen))
    yield from no_checkpoints(request, launch.num_nodes)


def _common(launch: Launch, request: DeployRequest, framework: ModuleType, program: Program) -> dict[str, str]:
    hostfile = hostfile_text(launch)
    own = request.entry_text
    shipped = shipped_files(has_own_program=own is not None) if program.has_our_trainer else {}
    entry = {ENTRY_PATH: own} if own is not None else trainer_files() if program.has_our_trainer else {}
    return {
        **shipped,
        **entry,
        **({} if hostfile is None else {"hostfile": hostfile}),
        "configs/cluster_config.yaml": cluster_text(launch),
        ENVIRONMENT_PATH: environment_text(launch),
        "requirements.txt": requirements_text((*framework.REQUIREMENTS, *program.requirements)),
        "Containerfile": container_text(launch),
    }


def _assumed(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> tuple[str, ...]:
    found = () if request.entry_text is not None else trainer_assumptions(problem, plan, prediction, request)
    if all(agent.image is None for agent in launch.agents):
        found += (f"The image of the Containerfile starts from {base_image(launch)}: the job file names none.",)
    return found


def _manifest(
    problem: Problem,
    plan: Plan,
    prediction: Prediction,
    request: DeployRequest,
    launch: Launch,
    files: dict[str, str],
    version: str,
    assumed: tuple[str, ...],
    warnings: tuple[str, ...],
) -> str:
    made = {path: BundleFile(path=path, text=text) for path, text in sorted(files.items())}
    asked = {name: value for name, value in to_json(request).items() if name != "entry_text"}
    value: dict[str, Any] = {
        "schema_version": 1,
        "kind": BUNDLE_KIND,
        "crosszone_version": version,
        "fingerprint": prediction.fingerprint,
        "framework": plan.framework,
        "request": asked,
        "port": None if launch.is_standalone else launch.port,
        "assumed": list(assumed),
        "warnings": list(warnings),
        "files": {path: {"sha256": file.sha256, "num_bytes": len(file.text.encode())} for path, file in made.items()},
        "plan": to_json(plan),
        "problem": to_json(problem),
        "prediction": to_json(prediction),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
