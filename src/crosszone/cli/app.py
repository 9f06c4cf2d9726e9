"""The program's verbs and the options that all of them take. What a verb needs is imported when it runs."""

from typing import Annotated

import typer

from crosszone.cli.backup import backup
from crosszone.cli.calibrate import calibrate
from crosszone.cli.catalog import catalog
from crosszone.cli.compare import compare
from crosszone.cli.deploy import deploy
from crosszone.cli.doctor import doctor
from crosszone.cli.init import init
from crosszone.cli.logs import logs
from crosszone.cli.options import AsJson, IsVerbose
from crosszone.cli.plan import plan
from crosszone.cli.predict import predict
from crosszone.cli.quotas import quotas
from crosszone.cli.replan import replan
from crosszone.cli.restore import restore
from crosszone.cli.run import run
from crosszone.cli.serve import serve
from crosszone.cli.simulate import simulate
from crosszone.cli.status import status
from crosszone.cli.stop import stop
from crosszone.cli.sweep import sweep
from crosszone.cli.tokens import tokens
from crosszone.cli.validate import validate
from crosszone.cli.whatif import whatif
from crosszone.cli.worker import worker

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes as long to load as everything else together
)
for verb in (
    init,
    predict,
    plan,
    whatif,
    simulate,
    deploy,
    doctor,
    run,
    status,
    logs,
    stop,
    sweep,
    replan,
    validate,
    compare,
    calibrate,
    catalog,
    serve,
    worker,
    backup,
    restore,
):
    app.command()(verb)
for name, verbs in (("tokens", tokens), ("quotas", quotas)):
    app.add_typer(verbs, name=name)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"crosszone {version('crosszone')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
    is_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Plan and predict the training of one large language model over GPUs in several zones.

    Exit codes: 0 ok; 1 failed; 2 bad usage or input; 3 nothing fits; 4 something is missing here; 5 verification
    failed.
    """
    if context.invoked_subcommand is not None:
        return
    if as_json:
        from crosszone.errors import SpecError

        raise SpecError.of("Missing command.", code="usage", hint="See: crosszone --help")
    typer.echo(context.get_help(), err=True)
    raise typer.Exit(2)
