"""How to start a program on a node: here, over ssh, or by the words that a person wrote into a file."""

from __future__ import annotations

import os
import shlex
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path

from crosszone.core.preflight import ProbedNode
from crosszone.errors import Finding, SpecError
from crosszone.launch.interpreter import chosen_python

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15")
"""As the bundles of the ssh backend, with less patience."""
LOADER = "import sys;exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"
"""Reads a program from its input, which stays open for commands."""

Reach = Mapping[str, tuple[str, ...]]
"""Address to the words before `python3`."""


def read_reach(path: Path) -> Reach:
    """What a TOML file says: `"10.0.0.1" = ["kubectl", "exec", "-i", "worker-0", "--"]`, one line per address.

    Errors: SpecError with all that is wrong.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError.unreadable("reach file", str(path), error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError.of(f"is no TOML: {error}.", where=str(path)) from None
    wrong = [
        Finding(
            code="wrong_type",
            where=f'{path}: "{address}"',
            message="is no list of words.",
            hint='Write "address" = ["program", "argument"].',
        )
        for address, words in table.items()
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words)
    ]
    if wrong:
        raise SpecError(*wrong)
    return {address: tuple(words) for address, words in table.items()}


def start_command(node: ProbedNode, reach: Reach) -> tuple[str, ...]:
    """The argument vector that starts the loader on `node`. Nothing of it is read by a shell here."""
    words = reach.get(node.address or "")
    if words is not None:
        python = (os.environ.get("PYTHON", "python3"), "-c", LOADER)
        # What ssh is told goes through the other side's shell.
        return (*words, shlex.join(python)) if Path(words[0]).name == "ssh" else (*words, *python)
    if is_here(node.address):
        return (chosen_python(None), "-c", LOADER)
    assert node.address is not None, "what has no address is here"
    options = (("-F", os.environ.get("SSH_CONFIG")), ("-l", os.environ.get("SSH_USER")))
    login = tuple(word for option, value in options if value for word in (option, value))
    return (*SSH, *login, "--", node.address, f'exec "${{PYTHON:-python3}}" -c {shlex.quote(LOADER)}')


def is_here(address: str | None) -> bool:
    """Whether an address is this machine's loopback or its own name."""
    if address is None:
        return True
    return address.startswith("127.") or address in ("localhost", "::1", socket.gethostname(), socket.getfqdn())
