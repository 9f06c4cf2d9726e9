"""What of a request can be refused before there is a plan: a search may take long, and none of this depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from crosszone.core.bundle import DEVICES, NO_CHECKPOINTS, TORCHRUN, DeployRequest
from crosszone.core.problem import Problem
from crosszone.deploy.backends import backend
from crosszone.deploy.frameworks import framework_renderer
from crosszone.deploy.places import surely_lacking
from crosszone.errors import Finding, InfeasiblePlan, SpecError, nearest_hint


def check_request(problem: Problem, framework: str, request: DeployRequest, *, is_planned: bool = False) -> None:
    """Nothing, where some plan of `problem` may be rendered so; `is_planned`: one is at hand, and need not be searched.

    Errors: UnknownName; SpecError with every option that is wrong or missing; InfeasiblePlan where the backend cannot
    start the framework, or no plan of the problem.
    """
    renderer, chosen = framework_renderer(framework), backend(request.backend)
    wrong = tuple(_wrong(problem, request))
    missing = () if is_planned else tuple(surely_lacking(problem, request, chosen))
    if wrong:
        raise SpecError(*wrong, *missing)
    unfit = () if is_planned or not hasattr(chosen, "unfit") else chosen.unfit(problem, request)
    impossible = (*_no_launcher(renderer, framework, chosen, request), *unfit)
    if impossible:
        raise InfeasiblePlan(*impossible)
    if missing:
        raise SpecError(*missing)


def _wrong(problem: Problem, request: DeployRequest) -> Iterator[Finding]:
    if request.device not in DEVICES:
        yield _invalid("--device", f'"{request.device}" is none of {", ".join(DEVICES)}.', "Take cuda.")
    if not 1 <= request.port <= 65535:
        yield _invalid("--port", f"{request.port} is no port.", "Take one from 1 to 65535.")
    names = [zone.name for zone in problem.cluster.zones]
    if request.zone is not None and request.zone not in names:
        hint = nearest_hint(request.zone, names)
        yield Finding(code="unknown_name", where="--zone", message=f'unknown zone "{request.zone}".', hint=hint)
    for where, path in (("--data", request.data_path), ("--checkpoints", request.checkpoint_folder)):
        if path is not None and path != NO_CHECKPOINTS and not path.startswith("/"):
            yield _invalid(where, "the path is relative, but nodes start elsewhere.", "Give an absolute path.")
    if request.entry_text is not None:
        return
    if request.entry_arguments:
        yield _missing("--entry", "arguments are for a program of your own, and none is named.", "Name it.")
    if request.num_steps is None and problem.workload.train_tokens is None:
        hint = "Write train_tokens, or say how many steps."
        yield _missing("workload.train_tokens", "how long to train is not known.", hint)


def _no_launcher(renderer: ModuleType, framework: str, chosen: ModuleType, request: DeployRequest) -> Iterator[Finding]:
    launcher = getattr(renderer, "LAUNCHER", TORCHRUN)
    if launcher not in chosen.LAUNCHERS:
        yield Finding(
            code="no_launcher",
            where="--backend",
            message=f"{request.backend} starts each node by itself, but {framework} needs {launcher}, which starts the "
            "ranks of all from one.",
            hint="Take local, ssh or mpi, or ddp as the framework.",
        )


def _invalid(where: str, message: str, hint: str) -> Finding:
    return Finding(code="invalid", where=where, message=message, hint=hint)


def _missing(where: str, message: str, hint: str) -> Finding:
    return Finding(code="missing", where=where, message=message, hint=hint)
