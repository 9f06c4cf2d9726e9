"""Where ranks meet, checked on the node that will run them, and written to a file for its shell to read.

`python scripts/setup_cluster.py --master_addr HOST --world_size N --node_rank R [--output FILE]`, then `source FILE`: a
program cannot change the variables of the shell that started it.
"""

from __future__ import annotations

import argparse
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from crosszone.errors import CrossZoneError, Finding, PreflightFailed

DEFAULT_PORT = 29500
CONNECT_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, write, tell; the exit code: 0, or 4 where ranks could not meet."""
    parser = argparse.ArgumentParser(prog="setup_cluster.py", description=__doc__)
    parser.add_argument("--master_addr", required=True, help="host name or address of the node of rank 0")
    parser.add_argument("--master_port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--world_size", type=int, required=True, help="processes of all nodes: GPUs, not nodes")
    parser.add_argument("--node_rank", type=int, required=True)
    parser.add_argument("--output", type=Path, default=Path("cluster.env"))
    given = parser.parse_args(arguments)
    try:
        address = check(given.master_addr, given.master_port, given.world_size, given.node_rank)
    except CrossZoneError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    values = {
        "MASTER_ADDR": given.master_addr,
        "MASTER_PORT": str(given.master_port),
        "WORLD_SIZE": str(given.world_size),
        "NODE_RANK": str(given.node_rank),
    }
    given.output.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    sys.stdout.write(f"{given.master_addr} is {address}. Next: source {shlex.quote(str(given.output))}\n")
    return 0


def check(master: str, port: int, world_size: int, node_rank: int) -> str:
    """The IP address of `master`. Errors: PreflightFailed with all that keeps ranks from meeting there."""
    found = []
    if not 1 <= port <= 65535:
        found.append(_finding("--master_port", f"{port} is no port.", "Take one from 1 to 65535."))
    if not 0 <= node_rank < max(world_size, 1):
        found.append(_finding("--node_rank", f"{node_rank} is none of {world_size} processes.", "Nodes count from 0."))
    address = ""
    try:
        address = str(socket.getaddrinfo(master, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        found.append(_finding("--master_addr", f"{master} does not resolve: {error}.", "Add it to DNS or /etc/hosts."))
    if not found:
        found += _port_problems(address, port, is_master=node_rank == 0)
    if found:
        raise PreflightFailed(*found)
    return address


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
