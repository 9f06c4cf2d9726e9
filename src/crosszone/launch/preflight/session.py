"""A conversation with the program on one node. Every wait has an end; a node that does not answer is lost, not dead."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from crosszone.core.preflight import ProbedNode

PARTS = ("node_facts", "node_sockets", "node_paths", "on_node")
"""Files of this folder that run on the node; each imports only earlier ones and the standard library."""
PACKAGE = "crosszone.launch.preflight"
LAST_LINES = 3
END_SECONDS = 2.0

Key = TypeVar("Key")
Value = TypeVar("Value")


class NodeLost(Exception):
    """The node did not answer in time, or its program ended: the message says what was seen last."""


class NodeFailed(Exception):
    """The node answered that a command failed."""


class NodeSession:
    """The program on one node, started by `command`."""

    def __init__(self, node: ProbedNode, command: Iterable[str], *, token: str) -> None:
        self.node, self._ids = node, itertools.count()
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._is_over = False
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            raise NodeLost(f"{next(iter(command))}: {error.strerror}") from None
        threading.Thread(target=self._read, daemon=True).start()
        program = node_program()
        self._send(b"%d\n%s%s\n" % (len(program), program, json.dumps({"node": node.index, "token": token}).encode()))

    def call(self, what: str, *, limit_seconds: float, **arguments: Any) -> Any:
        """What the node answers. Errors: NodeLost, NodeFailed."""
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            number = next(self._ids)
            self._waiting[number] = answers
            if self._is_over:
                answers.put(None)
        self._send(json.dumps({"id": number, "do": what, "with": arguments}).encode() + b"\n")
        try:
            said = answers.get(timeout=limit_seconds)
        except queue.Empty:
            raise NodeLost(f"no answer within {limit_seconds:g} s") from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if said is None:
            raise NodeLost(self._last_words())
        if "problem" in said:
            raise NodeFailed(said["problem"])
        return said["value"]

    def close(self) -> None:
        """End the program, which ends with its input; what does not end so is ended."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._lock:  # the reader notices the end
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._take(line)
        with self._lock:
            self._is_over = True
            for answers in self._waiting.values():
                answers.put(None)

    def _take(self, line: bytes) -> None:
        """Hand an answer to the one who waits; a login's greeting is no answer."""
        try:
            said = json.loads(line)
            number = said["id"]
        except (ValueError, TypeError, KeyError):
            return
        with self._lock:
            if number in self._waiting:
                self._waiting[number].put(said)

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        said = " ".join(line.strip() for line in lines[-LAST_LINES:])
        return said or f"its program ended with {self._process.poll()}"


def node_program() -> bytes:
    """The text that a node runs: the files as modules under the names by which they import each other."""
    folder = Path(__file__).parent
    texts = [(f"{PACKAGE}.{part}", (folder / f"{part}.py").read_text(encoding="utf-8")) for part in PARTS]
    return (
        "import sys, types\n"
        f"for name, text in {texts!r}:\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "module.serve(sys.stdin.buffer, sys.stdout.buffer)\n"
    ).encode()


def in_parallel(actions: Mapping[Key, Callable[[], Value]]) -> dict[Key, Value | Exception]:
    """Run all at the same time; each key's value, or what kept it from having one (NodeLost, NodeFailed)."""

    def caught(action: Callable[[], Value]) -> Value | Exception:
        try:
            return action()
        except (NodeLost, NodeFailed) as error:
            return error

    if not actions:
        return {}
    with ThreadPoolExecutor(max_workers=len(actions)) as pool:
        return dict(zip(actions, pool.map(caught, actions.values()), strict=True))
