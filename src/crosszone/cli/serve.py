"""`crosszone serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from crosszone.cli.database import DatabaseAddress
from crosszone.cli.options import AsJson, IsVerbose, lifetime_of, number_from
from crosszone.core.retention import DAY_SECONDS, Retention


def _kept(option: str, what: str, usual_seconds: float) -> Any:
    """An option that says how long something is kept."""
    told = f'How long {what} after a task is over, as "90 d"; left out: {usual_seconds / DAY_SECONDS:g} d.'
    return typer.Option(option, metavar="TIME", parser=lifetime_of(option), help=told, show_default=False)


Port = Annotated[int, typer.Option(metavar="N", parser=number_from(0, "--port", 8000), help="0: any free one.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Tokens beside those of the database, one a line.", show_default=False),
]
WithoutWorker = Annotated[
    bool, typer.Option("--no-worker", help="Drive no tasks: a crosszone worker does.", show_default=False)
]
NumWorkers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=number_from(1, "--workers", 2),
        help="Processes for quick questions, and as many for long ones; left out: one a core.",
        show_default=False,
    ),
]
PemFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM.", show_default=False)]
PemKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, PEM.", show_default=False)]
TokenAsked = Annotated[
    bool, typer.Option("--ask-token", help="Ask for a token on this machine, too.", show_default=False)
]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy on this machine ends TLS.", show_default=False)
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Answer anybody, without a token, and keep nothing.", show_default=False)
]
EventsKept = Annotated[float | None, _kept("--keep-events", "events are kept", Retention().events_seconds)]
LinesKept = Annotated[float | None, _kept("--keep-logs", "lines of ranks are kept", Retention().lines_seconds)]
SamplesKept = Annotated[float | None, _kept("--keep-metrics", "figures of runs are kept", Retention().samples_seconds)]


def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    is_token_asked: TokenAsked = False,
    tls_cert: PemFile = None,
    tls_key: PemKey = None,
    is_behind_proxy: BehindProxy = False,
    is_demo: Demo = False,
    database: DatabaseAddress = None,
    is_without_worker: WithoutWorker = False,
    workers: NumWorkers = None,
    keep_events: EventsKept = None,
    keep_logs: LinesKept = None,
    keep_metrics: SamplesKept = None,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Serve the web user interface, and the verbs over HTTP.

    The API is under /api/v1. It ends at SIGTERM or Ctrl-C. Without a token only this machine is answered: any other
    address asks for one, as `crosszone tokens create` makes it, and for TLS or a proxy. The address is printed; the
    log is on standard error, with --json as JSON lines. The exit code is 4 where the port is taken or the database
    does not answer.
    """
    from crosszone.errors import PreflightFailed

    try:
        from crosszone.server.options import ServeOptions
        from crosszone.server.run import serve as serve_until_stopped
    except ModuleNotFoundError as error:
        hint = "Install it: pip install 'crosszone[server]'."
        raise PreflightFailed.of(f"the web server is not installed: {error}.", hint=hint, code="missing") from None
    options = ServeOptions(
        host=host,
        port=port,
        token_file=token_file,
        is_token_asked=is_token_asked,
        tls_certificate=tls_cert,
        tls_key=tls_key,
        is_behind_proxy=is_behind_proxy,
        is_demo=is_demo,
        is_driving=not is_without_worker,
        database=database,
        num_workers=workers,
        retention=_retention(events_seconds=keep_events, lines_seconds=keep_logs, samples_seconds=keep_metrics),
        as_json=as_json,
    )
    serve_until_stopped(options, lambda address: _tell(address, options.is_everywhere, as_json=as_json))


def _retention(**said_seconds: float | None) -> Retention:
    """What was said; the rest as usual."""
    return Retention(**{name: seconds for name, seconds in said_seconds.items() if seconds is not None})


def _tell(address: str, is_everywhere: bool, *, as_json: bool) -> None:
    """Where it answers, for who started it."""
    from crosszone.cli import console

    if as_json:
        console.write_json({"schema_version": 1, "url": address})
    else:
        others = " and at all other addresses of this machine" if is_everywhere else ""
        console.write_text(f"CrossZone answers at {address}{others} (API: /api/v1); Ctrl-C stops it.\n")
    console.flush()
