"""`crosszone plan`."""

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, number_from
from crosszone.service import DEFAULT_TOP

EXIT_NOTHING_FITS = 3
WHY_HINT = "Leave one of the two out."


Top = Annotated[
    int, typer.Option(metavar="N", parser=number_from(1, "--top", 5), help="How many plans to show, at most.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="PLANS.json", help="Also write the answer, as JSON, here.")
]
ShowsFront = Annotated[
    bool, typer.Option("--pareto", help="Show the plans that nothing beats in time, cost and risk.", show_default=False)
]
WantsSensitivity = Annotated[
    bool,
    typer.Option(
        "--sensitivity",
        help="Search again with other links, nodes, GPUs, batches and fp8; takes some dozen times as long.",
        show_default=False,
    ),
]
Gpus = Annotated[
    list[str] | None,
    typer.Option(
        "--gpu",
        metavar="NAME",
        help="A GPU that --sensitivity tries everywhere; may be given several times. Left out: the next faster.",
        show_default=False,
    ),
]
Asked = Annotated[
    str | None,
    typer.Option(
        "--why",
        metavar="PLAN",
        help='Say why not this plan: "tp=8,pp=4,zones=a+b", or a saved one, as PLANS.json#2.',
        show_default=False,
    ),
]
ComparesFrameworks = Annotated[
    bool,
    typer.Option(
        "--frameworks",
        help="Say which framework to take: the best plan of each, and what it can do of the chosen one.",
        show_default=False,
    ),
]


def plan(
    job: Job,
    top: Top = DEFAULT_TOP,
    output: Output = None,
    shows_front: ShowsFront = False,
    wants_sensitivity: WantsSensitivity = False,
    gpus: Gpus = None,
    why: Asked = None,
    compares_frameworks: ComparesFrameworks = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Find the best plans for JOB.

    They are ranked, with reasons, beside the best plan in one zone alone.

    What JOB fixes of the plan stays fixed. The exit code is 3 where nothing fits.
    """
    from crosszone import service
    from crosszone.cli import console

    if compares_frameworks:
        _refuse_beside_frameworks(why, gpus, wants_sensitivity=wants_sensitivity)
        _compare_frameworks(job, calibration, output, as_json=as_json)
        return
    if why is not None:
        _refuse_beside_why(gpus, wants_sensitivity=wants_sensitivity)
        _explain(job, why, calibration, output, as_json=as_json, is_verbose=is_verbose)
        return
    if output is not None:
        console.check_can_write(output)
    problem = console.read_job(job, calibration)
    answer = service.plan(problem, top=top, with_front=shows_front or as_json or output is not None)
    if wants_sensitivity or gpus:
        from crosszone.cli.progress import progress

        with progress("Searching changed jobs") as advance:
            answer = service.sensitivity(answer, gpus=gpus or (), on_progress=advance)
    if output is not None:
        console.write_json_file(output, service.answer_json(answer))
    if as_json:
        console.write_json(service.answer_json(answer))
    else:
        from crosszone.cli.show_answer import answer_view

        console.write(*answer_view(answer, is_verbose=is_verbose, shows_front=shows_front, top=top))
    if output is not None:
        console.note(f"Wrote {output}")
    if not answer.plans:
        raise typer.Exit(EXIT_NOTHING_FITS)


def _refuse_beside_why(gpus: list[str] | None, *, wants_sensitivity: bool) -> None:
    """SpecError where changed jobs are asked for too, which --why would leave out."""
    from crosszone.errors import SpecError

    if gpus or wants_sensitivity:
        where = "--gpu" if gpus else "--sensitivity"
        raise SpecError.of("--why weighs one plan and tries no changed job.", where=where, hint=WHY_HINT)


def _refuse_beside_frameworks(why: str | None, gpus: list[str] | None, *, wants_sensitivity: bool) -> None:
    """SpecError where another question is asked too."""
    from crosszone.errors import SpecError

    asked = {"--why": why is not None, "--gpu": bool(gpus), "--sensitivity": wants_sensitivity}
    for where, is_asked in asked.items():
        if is_asked:
            raise SpecError.of("--frameworks is a question of its own.", where=where, hint=WHY_HINT)


def _compare_frameworks(job: str, calibration: Path | None, output: Path | None, *, as_json: bool) -> None:
    """Answer --frameworks. The exit code is 3 where none has a plan that fits."""
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    if output is not None:
        console.check_can_write(output)
    problem = console.read_job(job, calibration)
    with progress("Searching by framework") as advance:
        found = service.frameworks(problem, on_progress=advance)
    if output is not None:
        console.write_json_file(output, service.framework_choice_json(found))
    if as_json:
        console.write_json(service.framework_choice_json(found))
    else:
        from crosszone.cli.show_frameworks import frameworks_view

        console.write(*frameworks_view(found))
    if output is not None:
        console.note(f"Wrote {output}")
    if found.recommended is None:
        raise typer.Exit(EXIT_NOTHING_FITS)


def _explain(
    job: str, asked: str, calibration: Path | None, output: Path | None, *, as_json: bool, is_verbose: bool
) -> None:
    """Answer --why."""
    from crosszone import service
    from crosszone.cli import console

    if output is not None:
        console.check_can_write(output)
    found = service.why(console.read_job(job, calibration), asked)
    if output is not None:
        console.write_json_file(output, service.why_json(found))
    if as_json:
        console.write_json(service.why_json(found))
    else:
        from crosszone.cli.show_explanations import why_view

        console.write(*why_view(found, is_verbose=is_verbose))
    if output is not None:
        console.note(f"Wrote {output}")
