"""The command line. `main` is the program: it runs a verb and turns whatever happens into output and an exit code."""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crosszone.errors import CrossZoneError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader of our output went away."""
FEWEST_NEW_OBJECTS = 500_000
"""Before garbage is looked for: what a verb makes lives until it ends, and Python's own 700 keep looking."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `crosszone` with `arguments` (those of the process where None); the exit code."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes stdout once more as it ends; that must not find the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        if arguments is None:
            gc.freeze()  # the process ends: to look through all that is left takes a tenth of a verb's time


def _run(arguments: list[str]) -> int:
    gc.set_threshold(FEWEST_NEW_OBJECTS)
    # Imported here, so that Ctrl-C during the imports is quiet too.
    import typer

    from crosszone.cli import console
    from crosszone.cli.app import program
    from crosszone.errors import CrossZoneError

    # What typer raises for wrong usage; the name of the class is private to it.
    usage_error: type[BaseException] = typer.BadParameter.__mro__[1]
    console.make_streams_safe()
    as_json, is_verbose = "--json" in arguments, "--verbose" in arguments
    try:
        with typer.main.get_command(program(arguments)).make_context("crosszone", arguments) as context:
            context.command.invoke(context)
        return 0
    except typer.Exit as exit_request:
        return exit_request.exit_code
    except usage_error as error:
        console.write_error(_usage_error(error), as_json=as_json)
        return 2
    except CrossZoneError as error:
        console.write_error(error, as_json=as_json)
        return error.exit_code
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last stop before the person; --verbose shows all of it
        if is_verbose:
            import traceback

            traceback.print_exc()
        console.write_error(_failure(error), as_json=as_json)
        return EXIT_FAILED


def _usage_error(error: BaseException) -> "CrossZoneError":
    from crosszone.errors import SpecError

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "crosszone"
    # Typer lets pydantic's opening words through.
    message = error.format_message().replace("Value error, ", "").replace("Invalid value for ", "")  # type: ignore[attr-defined]
    return SpecError.of(message, code="usage", hint=f"See: {path} --help")


def _failure(error: Exception) -> "CrossZoneError":
    from crosszone.errors import CrossZoneError

    if isinstance(error, OSError) and error.strerror:
        return CrossZoneError.of(f"{error.strerror}.", where=str(error.filename or ""), code="system")
    return CrossZoneError.of(
        f"{type(error).__name__}: {error}.",
        code="internal",
        hint="This is a mistake in crosszone, not yours; --verbose shows where.",
    )
