"""What is read and written: results on stdout, the rest on stderr, in any locale, with or without a terminal."""

from __future__ import annotations

import codecs
import json
import os
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from crosszone.core.problem import Problem
    from crosszone.errors import CrossZoneError

STDIN = "-"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"

_PLAIN = {
    "█": "#",
    "░": ".",
    "•": "*",
    "·": "-",
    "→": "->",
    "↔": "<->",
    "×": "x",
    "–": "-",
    "—": "-",
    "…": "...",
    "µ": "u",
}


def make_streams_safe() -> None:
    """Let no character stop the program: what the locale cannot show is written in plain letters."""
    codecs.register_error("crosszone", _plainer)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="crosszone")


def read_job(path: str, calibration: Path | None = None) -> Problem:
    """The problem in the job file at `path`, or on standard input where it is "-". SpecError.

    It is to be predicted with the `calibration` file, where there is one.
    """
    from crosszone import service

    _load_numpy()
    problem = _read_job(path)
    return problem if calibration is None else service.calibrated(problem, service.read_calibrations(calibration))


def open_job(path: str) -> Any:
    """The job file at `path`, or on standard input where it is "-", as `service.whatif_base` takes it. SpecError."""
    from crosszone import service

    _load_numpy()
    return service.open_job(_stdin_text(), base=Path.cwd()) if path == STDIN else path


def write_json(value: Any) -> None:
    """`value` on stdout, as JSON."""
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=not is_unicode, allow_nan=False) + "\n")


def write_text(text: str) -> None:
    """`text` on stdout, as it is."""
    sys.stdout.write(text)


def flush() -> None:
    """Let a reader of stdout have what was written so far."""
    sys.stdout.flush()


def check_can_write(path: Path) -> None:
    """Before the work, not after it: `path` can become a file. SpecError."""
    if path.is_dir():
        raise SpecError.of("it is a folder.", where=str(path), hint="Name a file in it.", code="unwritable")
    if not path.parent.is_dir():
        message = f'there is no folder "{path.parent}".'
        raise SpecError.of(message, where=str(path), hint="Make it first, or name another file.", code="unwritable")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SpecError.of("it may not be written.", where=str(path), hint="Name another file.", code="unwritable")


def write_file(path: Path, pieces: Iterable[str]) -> None:
    """The text of `pieces` in the file at `path`, whole or not at all: nobody finds half a file. OSError."""
    if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
        with path.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def screen_width() -> int:
    """Columns of the screen."""
    return _console().width


def write_json_file(path: Path, value: Any) -> None:
    """`value` in the file at `path`, as JSON. OSError."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write(*renderables: RenderableType) -> None:
    """Each of `renderables` on stdout, formatted for the terminal or plain."""
    console = _console()
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable)
    # Rich pads lines to the width of the screen; in a file those spaces are noise.
    text = captured.get()
    if not console.is_terminal:
        text = "\n".join(line.rstrip() for line in text.split("\n"))
    sys.stdout.write(text)


def note(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{text}\n")


def write_error(error: CrossZoneError, *, as_json: bool) -> None:
    """Every problem of `error`: as JSON on stdout, for people on stderr."""
    if as_json:
        write_json(error.to_dict())
        return
    for finding in error.findings:
        note(f"error: {finding}")
    if len(error.findings) > 1:
        note(f"{len(error.findings)} problems")


def _load_numpy() -> None:
    """Before anything else does. Its linear algebra would start a thread on every core, for sums too small for two."""
    if BLAS_THREADS in os.environ:
        return
    os.environ[BLAS_THREADS] = "1"
    try:
        import crosszone.core.tables  # noqa: F401 - imports it
    finally:
        del os.environ[BLAS_THREADS]  # what is started from here has its own way


def _read_job(path: str) -> Problem:
    from crosszone import service

    if path != STDIN:
        return service.read(path)
    return service.read_text(_stdin_text(), base=Path.cwd())


def _stdin_text() -> str:
    # Bytes, because a job file is UTF-8 whatever the locale says.
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is 0x{data[error.start]:02x}, which is not UTF-8."
        raise SpecError.of(message, where=STDIN, hint="Save the file as UTF-8.") from None


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    return "".join(_plain(letter) for letter in letters), error.end


def _plain(letter: str) -> str:
    if letter in _PLAIN:
        return _PLAIN[letter]
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"
