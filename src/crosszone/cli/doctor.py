"""`crosszone doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosszone.cli.options import AsJson, IsVerbose, number_from

if TYPE_CHECKING:
    from crosszone.core.preflight import ProbeRequest

EXIT_NOT_READY = 4
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[JOB|DIR]",
        help='A job file ("-": standard input) or bundle; this machine if left out.',
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        metavar="N", parser=number_from(1, "--port", 29500), help="Where ranks meet; the bundle's.", show_default=False
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        parser=number_from(0.1, "--seconds", 2.0),
        help="How long each bandwidth is measured; 1.",
        show_default=False,
    ),
]
ReachFile = Annotated[
    Path | None,
    typer.Option(
        "--reach",
        metavar="FILE",
        help="TOML: the words that start a program on an address; ssh if left out.",
        show_default=False,
    ),
]
IsRanks = Annotated[
    bool,
    typer.Option(
        "--ranks", help="Start the ranks of a local bundle, let them meet and take a step.", show_default=False
    ),
]


def doctor(
    target: Target = None,
    port: Port = None,
    seconds: Seconds = None,
    reach: ReachFile = None,
    is_ranks: IsRanks = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Look at the nodes of JOB or a bundle before a launch.

    Names and ports, network devices, round trips and bandwidths, clocks, versions, memory and disk; what is wrong is
    named with its cause and its fix. The exit code is 4 where something stands in the way.
    """
    from crosszone import service
    from crosszone.cli import console
    from crosszone.cli.progress import progress
    from crosszone.cli.show_doctor import doctor_view, ranks_view

    request = _request(target, port, seconds, has_ranks=is_ranks)
    with progress("Looking at the nodes") as on_progress:
        report = service.preflight(request, reach=reach, on_progress=on_progress)
    ranks = None
    if is_ranks and not report.is_ready:
        console.note("ranks are not started: something stands in their way.")
    elif is_ranks:
        with progress("Starting ranks"):
            ranks = service.check_ranks(str(target))
    if as_json:
        console.write_json(service.preflight_json(report, ranks))
    else:
        links = service.preflight_json(report)["links"]
        console.write(*doctor_view(report, links, is_verbose=is_verbose))
        if ranks is not None:
            console.write(*ranks_view(ranks))
    if not report.is_ready or (ranks is not None and not ranks.is_ready):
        raise typer.Exit(EXIT_NOT_READY)


def _request(target: str | None, port: int | None, seconds: float | None, *, has_ranks: bool) -> ProbeRequest:
    from crosszone import service
    from crosszone.cli import console

    is_job = target is not None and not Path(target).is_dir()
    what = console.read_job(str(target)) if is_job else target
    return service.probe_request(what, port=port, window_seconds=seconds, has_ranks=has_ranks)
