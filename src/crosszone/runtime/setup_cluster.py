"""Where ranks meet, checked on the node that will run them, and written to a file for its shell to read.

`python scripts/setup_cluster.py --master_addr HOST --world_size N --node_rank R [--output FILE]`, then `source FILE`: a
program cannot change the variables of the shell that started it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from crosszone.errors import CrossZoneError, Finding, PreflightFailed, SpecError

DEFAULT_PORT = 29500
MOST_PORT = 65535
CONNECT_SECONDS = 5.0
HINTS = {
    "master_port": f"Take one from 1 to {MOST_PORT}.",
    "world_size": "Count the processes of all nodes: one for each GPU.",
    "node_rank": "Nodes count from 0, and each has a process or more.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, write, tell; the exit code: 0, 2 where an option is wrong, 4 where ranks could not meet."""
    given = _parser().parse_args(arguments)
    try:
        address = check(given)
        _write(given)
    except CrossZoneError as error:
        sys.stderr.write("".join(f"error: {finding}\n" for finding in error.findings))
        return error.exit_code
    sys.stdout.write(f"{given.master_addr} is {address}. Next: source {shlex.quote(str(given.output))}\n")
    return 0


def check(given: argparse.Namespace) -> str:
    """The IP address of the node of rank 0.

    Errors: SpecError where an option is wrong, PreflightFailed where ranks could not meet; with all that is wrong.
    """
    wrong = [*_wrong_numbers(given), *_wrong_output(given.output)]
    unmet = []
    address = ""
    try:
        address = str(socket.getaddrinfo(given.master_addr, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        message = f"{given.master_addr} does not resolve: {error}."
        unmet.append(_finding("--master_addr", message, "Add it to DNS or /etc/hosts."))
    if not wrong and not unmet:
        unmet += _port_problems(address, int(given.master_port), is_master=int(given.node_rank) == 0)
    if wrong:
        raise SpecError(*wrong, *unmet)
    if unmet:
        raise PreflightFailed(*unmet)
    return address


def _parser() -> argparse.ArgumentParser:
    """Numbers are left to `check`, which tells all that is wrong at once."""
    parser = argparse.ArgumentParser(prog="setup_cluster.py", description=__doc__)
    parser.add_argument("--master_addr", required=True, help="host name or address of the node of rank 0")
    parser.add_argument("--master_port", metavar="N", default=str(DEFAULT_PORT), help=f"{DEFAULT_PORT} if left out")
    parser.add_argument("--world_size", metavar="N", required=True, help="processes of all nodes: GPUs, not nodes")
    parser.add_argument("--node_rank", metavar="N", required=True)
    parser.add_argument("--output", type=Path, default=Path("cluster.env"))
    return parser


def _wrong_numbers(given: argparse.Namespace) -> Iterator[Finding]:
    numbers = {}
    for name, hint in HINTS.items():
        text = getattr(given, name)
        try:
            numbers[name] = int(text)
        except ValueError:
            yield _finding(f"--{name}", f'"{text}" is no whole number.', hint)
    port, world_size, node_rank = (numbers.get(name) for name in HINTS)
    if port is not None and not 1 <= port <= MOST_PORT:
        yield _finding("--master_port", f"{port} is no port.", HINTS["master_port"])
    if world_size is not None and world_size < 1:
        yield _finding("--world_size", f"{world_size} processes cannot train.", HINTS["world_size"])
    if node_rank is not None and node_rank < 0:
        yield _finding("--node_rank", f"{node_rank} is below 0.", HINTS["node_rank"])
    elif node_rank is not None and world_size is not None and 1 <= world_size <= node_rank:
        yield _finding("--node_rank", f"{node_rank} is none of {world_size} processes.", HINTS["node_rank"])


def _wrong_output(path: Path) -> Iterator[Finding]:
    folder = path.parent
    if path.is_dir():
        yield _finding("--output", f"{path} is a folder.", "Name a file in it.")
    elif not folder.is_dir():
        yield _finding("--output", f"there is no folder {folder}.", "Make it, or name a file elsewhere.")
    elif not os.access(path if path.exists() else folder, os.W_OK):
        yield _finding("--output", f"{path} cannot be written.", "Name a file that can be.")


def _write(given: argparse.Namespace) -> None:
    values = {
        "MASTER_ADDR": given.master_addr,
        "MASTER_PORT": given.master_port,
        "WORLD_SIZE": given.world_size,
        "NODE_RANK": given.node_rank,
    }
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    try:
        given.output.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {given.output}: {error.strerror or error}."
        raise SpecError.of(message, where="--output", hint="Name a file that can be written.") from None


def _port_problems(address: str, port: int, *, is_master: bool) -> list[Finding]:
    """On the node of rank 0 the port must be free; others must reach that node, whether it listens already or not."""
    if is_master:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                hint = "Run this on the node of that address, and take a port that is free."
                return [_finding("--master_port", f"cannot listen on {address}:{port}: {error}.", hint)]
        return []
    try:
        socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return []  # the node answers; nothing listens there yet
    except OSError as error:
        hint = "Let this node reach it on that port: look at routes and firewalls."
        return [_finding("--master_addr", f"no way to {address}:{port}: {error}.", hint)]
    return []


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="preflight", where=where, message=message, hint=hint)


if __name__ == "__main__":
    sys.exit(main())
