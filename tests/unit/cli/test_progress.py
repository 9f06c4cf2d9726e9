"""The bar of long work: on a terminal's standard error, and nowhere else."""

import io
import sys

from crosszone.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_moves_until_it_is_told_how_far_the_work_is(monkeypatch) -> None:
    told, silent = Terminal(), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    for stream in (told, silent):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("Choosing a plan") as advance:
            if stream is told:
                advance(0.5)
    assert "Choosing a plan" in silent.getvalue()
    assert "%" not in silent.getvalue().replace("0%", "", 1)
    assert "50%" in told.getvalue()


def test_without_a_terminal_nothing_is_written(capsys) -> None:
    with progress("Choosing a plan") as advance:
        advance(0.5)
    assert capsys.readouterr() == ("", "")
