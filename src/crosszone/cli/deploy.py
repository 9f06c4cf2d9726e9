"""`crosszone deploy`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosszone.cli.options import AsJson, CalibrationFile, IsVerbose, Job, SavedPlan, number_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosszone.core.bundle import Bundle, FileChange

RUN_PROGRAM = "run_training.sh"
"""In bundles that one command starts."""
Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="-- ARGUMENT", help="Passed on to --entry.", show_default=False)
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The folder of the bundle.", show_default=False)
]
FrameworkName = Annotated[
    str | None,
    typer.Option(
        "--framework",
        metavar="NAME",
        help="ddp, fsdp, deepspeed, megatron, torchtitan or horovod; the plan's or job's if left out.",
        show_default=False,
    ),
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="local, bare, ssh, mpi, slurm, kubernetes or skypilot.",
        show_default=False,
    ),
]
Entry = Annotated[str | None, typer.Option(metavar="FILE.py", help="A program of your own in place of our trainer.")]
Device = Annotated[str, typer.Option(metavar="cuda|cpu", help="cpu: to try a bundle out.")]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=number_from(1, "--steps", 10), help="In place of train_tokens.", show_default=False
    ),
]
Data = Annotated[
    str | None, typer.Option(metavar="FILE", help="Tokens, at this path on every node; synthetic if left out.")
]
Checkpoints = Annotated[
    str | None, typer.Option(metavar="DIR", help='Folder that all nodes see; "none": no checkpoints.')
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=number_from(1, "--port", 29500), help="Where ranks meet; 29500.", show_default=False
    ),
]
Zone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Only the piece of this zone, where each has its own scheduler.")
]
IsDiff = Annotated[
    bool, typer.Option("--diff", help="Show what would change in DIR; write nothing.", show_default=False)
]
IsForced = Annotated[
    bool, typer.Option("--force", help="Overwrite files of the bundle that were edited.", show_default=False)
]


def deploy(
    job: Job,
    output: Output,
    backend: BackendName,
    framework: FrameworkName = None,
    arguments: Arguments = None,
    plan: SavedPlan = None,
    entry: Entry = None,
    device: Device = "cuda",
    steps: Steps = None,
    data: Data = None,
    checkpoints: Checkpoints = None,
    port: Port = None,
    zone: Zone = None,
    is_diff: IsDiff = False,
    is_forced: IsForced = False,
    calibration: CalibrationFile = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Write the files that run JOB's plan as they are.

    DIR gets configurations, a launch file for every node, and a README that says what to run where. Without a plan in
    JOB the best is searched that the framework can express. The exit code is 2 where something that must be known is
    missing, 3 where the plan does not fit or cannot be expressed.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress

    problem = console.read_job(job, calibration)
    with progress("Rendering" if plan else "Choosing a plan"):
        bundle = service.deploy(
            problem,
            framework=framework,
            backend=backend,
            plan=None if plan is None else service.read_plan(plan, problem=problem),
            device=device,
            num_steps=steps,
            data=data,
            checkpoints=checkpoints,
            entry=entry,
            arguments=arguments or (),
            port=port,
            zone=zone,
        )
    if is_diff:
        changes = service.bundle_changes(bundle, output)
    else:
        changes = service.write_bundle(bundle, output, is_forced=is_forced)
    if as_json:
        console.write_json(service.bundle_json(bundle, changes))
    elif is_diff:
        console.write_text("".join(change.difference for change in changes))
    else:
        console.write_text(_summary(bundle, changes, output))
        for warning in bundle.warnings:
            console.note(f"warning: {warning}")


def _summary(bundle: Bundle, changes: Sequence[FileChange], output: Path) -> str:
    launch = bundle.launch
    written = f"Wrote {len(changes)} of {len(bundle.files)} files" if changes else "Nothing changed"
    lines = [
        f"{written} in {output}: {launch.world_size} ranks on {launch.num_nodes} node(s).",
        *([bundle.piece] if bundle.piece else []),
        f"Next: {output}/README.md says what to run where.",
    ]
    if any(file.path == RUN_PROGRAM for file in bundle.files):
        lines.append(f"Or: crosszone run {shlex.quote(str(output))}")
    return "".join(f"{line}\n" for line in lines)
