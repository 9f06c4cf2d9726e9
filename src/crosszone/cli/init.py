"""`crosszone init`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from crosszone.cli.options import AsJson, IsVerbose


def init(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help='Where to write it; standard output if left out or "-".')
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", metavar="NAME", help="A job file for this scenario.", show_default=False),
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the templates.", show_default=False)] = False,
    is_guided: Annotated[
        bool, typer.Option("--guide", help="Ask for everything, with bounds and advice.", show_default=False)
    ] = False,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="KEY=VALUE", help="Answer the guide; may be repeated.", show_default=False),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help='Answers, one a line; "-" is stdin.', show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite PATH.", show_default=False)] = False,
    as_json: AsJson = False,
    is_verbose: IsVerbose = False,
) -> None:
    """Write a first job file, with comments.

    It plans as it is: change it to your model, zones and links. --template starts from a scenario, --guide asks.
    """
    from crosszone import service
    from crosszone.cli import console

    _check_options(template, is_list=is_list, is_guided=is_guided, has_answers=bool(answer) or answers is not None)
    if is_list:
        _list(as_json=as_json)
        return
    if path is not None and str(path) == console.STDIN:
        path = None
    if path is not None:
        console.check_can_write(path)
        if path.exists() and not force:
            raise _exists(path)  # before anything is asked
    more: dict[str, Any] = {}
    if is_guided:
        text, more = _guided(path, answer or [], answers)
    else:
        text = service.starter_job() if template is None else service.job_template(template).text
    if path is not None:
        _write(path, text, force=force)
    if as_json:
        console.write_json({"path": None if path is None else str(path), "text": text, **more})
    elif path is None:
        console.write_text(text)
    else:
        console.note(f"Wrote {path}. Next: crosszone {'predict' if is_guided else 'plan'} {path}")


def _check_options(template: str | None, *, is_list: bool, is_guided: bool, has_answers: bool) -> None:
    from crosszone.errors import SpecError

    chosen = [name for name, has in (("--template", template), ("--list", is_list), ("--guide", is_guided)) if has]
    if len(chosen) > 1:
        message = f"{' and '.join(chosen)} exclude each other."
        raise SpecError.of(message, code="usage", hint="Write one of them.")
    if has_answers and not is_guided:
        raise SpecError.of("--answer and --answers answer the guide.", code="usage", hint="Add --guide.")


def _list(*, as_json: bool) -> None:
    from crosszone import service
    from crosszone.cli import console

    found = service.job_templates()
    if as_json:
        console.write_json({"templates": [{"name": one.name, "title": one.title} for one in found]})
        return
    from crosszone.cli.tables import pairs

    console.write(pairs((one.name, one.title) for one in found))


def _guided(path: Path | None, answer: list[str], answers: Path | None) -> tuple[str, dict[str, Any]]:
    """The job file that was asked for, and what JSON says besides."""
    from crosszone import service
    from crosszone.cli.guide import guided_draft, show_result

    base = Path.cwd() if path is None else path.absolute().parent
    draft = guided_draft(base=base, answers=answer, path=answers)
    text = service.guide_job(draft)
    ranked = service.predict(service.read_text(text, base=base))
    show_result(ranked)
    return text, {"answers": dict(draft.answers), "prediction": service.prediction_json(ranked)}


def _write(path: Path, text: str, *, force: bool) -> None:
    """The file, whole or not at all; one that came to be meanwhile stays unless `force`."""
    from crosszone.cli import console

    if force:
        console.write_file(path, [text])
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        console.write_file(beside, [text])
        os.link(beside, path)  # unlike a rename, it fails where there is a file
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise _exists(path) from None
    finally:
        beside.unlink(missing_ok=True)


def _exists(path: Path) -> Exception:
    from crosszone.errors import SpecError

    hint = "Choose another PATH, or --force to overwrite it."
    return SpecError.of(f"{path} exists.", where=str(path), hint=hint, code="exists")
