"""The program on a node: one command per line in, one answer per line out. Sent as text: standard library, Python 3.8.

It ends with its input, so that nothing stays on a node whose connection is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from functools import partial
from typing import Any, BinaryIO, Callable  # noqa: UP035 - Python 3.8

from crosszone.launch.preflight.node_facts import machine_facts
from crosszone.launch.preflight.node_paths import path_mtu, ping, reach, resolve, send
from crosszone.launch.preflight.node_sockets import Listeners

LIFE_SECONDS = 300.0
"""After which it ends whatever happens."""
SEE_SECONDS = 4.0
"""Within which a file of another node has to appear: NFS looks again after some seconds (nfs(5), acregmin)."""


class Node:
    """Commands by name; arguments and answers are JSON."""

    def __init__(self, node: int, token: str) -> None:
        self.token = token
        self.listeners = Listeners(node, token)

    def facts(self, folder: str | None) -> dict[str, Any]:
        """What this machine is."""
        return machine_facts(folder)

    def listen(self, address: str, ports: list[int]) -> list[dict[str, Any]]:
        """Open ports; 0: any."""
        return [self.listeners.listen(address, port) for port in ports]

    def reach(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Resolve the name and try all ports of every target, all at the same time."""
        found: list[dict[str, Any]] = [{"resolved": [], "ports": []} for _ in targets]
        at_once([partial(self._reach, target, found[index]) for index, target in enumerate(targets)])
        return found

    def _reach(self, target: dict[str, Any], found: dict[str, Any]) -> None:
        found["resolved"] = addresses = resolve(target["address"])
        if not addresses:
            return
        found["ports"] = [{} for _ in target["ports"]]

        def try_port(index: int) -> None:
            found["ports"][index] = reach(addresses[0], target["ports"][index], target["node"], self.token)

        at_once([partial(try_port, index) for index in range(len(target["ports"]))])

    def ping(self, address: str, port: int) -> dict[str, Any]:
        """Round trips and the difference of clocks."""
        return ping(address, port, self.token)

    def path_mtu(self, address: str, port: int, most_bytes: int, rtt_seconds: float) -> int | None:
        """Largest packet that arrives."""
        return path_mtu(address, port, self.token, most_bytes, rtt_seconds)

    def send(self, address: str, port: int, test: str, num_streams: int, seconds: float) -> dict[str, Any]:
        """Fill connections."""
        return send(address, port, self.token, test, num_streams, seconds)

    def count(self, test: str, num_streams: int, warmup_seconds: float, window_seconds: float) -> dict[str, Any]:
        """Count what another sends."""
        return self.listeners.count(test, num_streams, warmup_seconds, window_seconds)

    def limit(self, seconds: float) -> float | None:
        """Bytes per second from this program to itself: what it can do at most. None without a loopback device."""
        opened = self.listeners.listen("127.0.0.1", 0)
        sending = threading.Thread(
            target=lambda: quietly(send, "127.0.0.1", opened["port"], self.token, "limit", 2, 2 * seconds), daemon=True
        )
        sending.start()
        found = self.listeners.count("limit", 2, seconds / 2, seconds)
        rate: float | None = found.get("bytes_per_second")
        return rate

    def write(self, folder: str, name: str) -> dict[str, Any]:
        """Make a small file in a folder, or in the nearest above it that is there: where it is, or why it is not."""
        while not os.path.isdir(folder) and folder != os.path.dirname(folder):
            folder = os.path.dirname(folder)
        path = os.path.join(folder, name)
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(self.token)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return {"path": path, "problem": error.strerror or str(error)}
        return {"path": path, "problem": None}

    def sees(self, path: str) -> bool:
        """Whether the file that another made is here."""
        deadline = time.monotonic() + SEE_SECONDS
        while True:
            with contextlib.suppress(OSError):
                os.listdir(os.path.dirname(path))  # makes network file systems look again
                with open(path, encoding="ascii") as file:
                    if file.read() == self.token:
                        return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)

    def remove(self, path: str) -> None:
        """Take the file away."""
        with contextlib.suppress(OSError):
            os.remove(path)


def at_once(actions: list[Callable[[], None]]) -> None:
    """Run all, each in a thread of its own, and wait for them."""
    threads = [threading.Thread(target=action, daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def quietly(action: Any, *arguments: Any) -> None:
    """Run `action` where nobody waits for its answer."""
    with contextlib.suppress(OSError, ValueError):
        action(*arguments)


def serve(commands: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends. The first line is {"node", "token"}, each other {"id", "do", "with"}."""
    threading.Timer(LIFE_SECONDS, os._exit, (1,)).start()
    started = json.loads(commands.readline())
    node, lock = Node(started["node"], started["token"]), threading.Lock()

    def answer(command: dict[str, Any]) -> None:
        try:
            said = {"id": command["id"], "value": getattr(node, command["do"])(**command["with"])}
        except Exception as error:  # noqa: BLE001 - told to the one who asked
            said = {"id": command["id"], "problem": type(error).__name__ + ": " + str(error)}
        with lock:
            answers.write(json.dumps(said).encode() + b"\n")
            answers.flush()

    for line in commands:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()
    os._exit(0)
