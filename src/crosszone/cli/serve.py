"""`crosszone serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosszone.cli.database import DatabaseAddress
from crosszone.cli.options import AsJson, IsVerbose, number_from

PemFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain, PEM.", show_default=False)]
PemKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, PEM.", show_default=False)]


def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", parser=number_from(0, "--port", 8000), help="0: any free one.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Tokens beside those of the database, one a line.", show_default=False),
    ] = None,
    is_token_asked: Annotated[
        bool, typer.Option("--ask-token", help="Ask for a token on this machine, too.", show_default=False)
    ] = False,
    tls_cert: PemFile = None,
    tls_key: PemKey = None,
    is_behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy on this machine ends TLS.", show_default=False)
    ] = False,
    is_demo: Annotated[
        bool, typer.Option("--demo", help="Answer anybody, without a token, and keep nothing.", show_default=False)
    ] = False,
    database: DatabaseAddress = None,
    is_without_worker: Annotated[
        bool,
        typer.Option("--no-worker", help="Drive no tasks: a crosszone worker does.", show_default=False),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=number_from(1, "--workers", 2),
            help="Processes for quick questions, and as many for long ones; left out: one a core.",
            show_default=False,
        ),
    ] = None,
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
        as_json=as_json,
    )
    serve_until_stopped(options, lambda address: _tell(address, as_json=as_json))


def _tell(address: str, *, as_json: bool) -> None:
    """Where it answers, for who started it."""
    from crosszone.cli import console

    if as_json:
        console.write_json({"schema_version": 1, "url": address})
    else:
        console.write_text(f"CrossZone answers at {address} (API: /api/v1); Ctrl-C stops it.\n")
    console.flush()
