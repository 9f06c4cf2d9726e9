"""What a node offers to the others: it answers, counts bytes and echoes. Sent as text: standard library, Python 3.8."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from typing import Any

PATIENCE_SECONDS = 5.0
"""Within which a peer says who it is, and within which all streams of a measurement come."""
IDLE_SECONDS = 60.0
"""After which a silent peer is left."""
MOST_LINE_BYTES = 4096
BLOCK_BYTES = 2**20
CLOCKS = struct.Struct("!dd")


class Listeners:
    """Ports of one node; only those who know the token are served, and nothing that they send is kept."""

    def __init__(self, node: int, token: str) -> None:
        self.node, self.token = node, token
        self._counts: dict[str, list[list[int]]] = {}
        self._lock = threading.Lock()

    def listen(self, address: str, port: int) -> dict[str, Any]:
        """Open a TCP port, and UDP at the same number; 0: any. Which one, or why not."""
        try:
            server = tcp_server(address, port)
        except OSError as error:
            return {"port": port, "problem": error.strerror or str(error)}
        port = server.getsockname()[1]
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        with contextlib.suppress(OSError):
            echo = socket.socket(server.family, socket.SOCK_DGRAM)
            if server.family == socket.AF_INET6:
                echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            echo.bind(server.getsockname()[:2])
            threading.Thread(target=self._echo, args=(echo,), daemon=True).start()
        return {"port": port, "problem": None}

    def count(self, test: str, num_streams: int, warmup_seconds: float, window_seconds: float) -> dict[str, Any]:
        """Bytes of all streams of `test` in two halves of a window that starts when they have warmed up."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self._counts.get(test, ())) < num_streams:
            if time.monotonic() > deadline:
                num_come = len(self._counts.get(test, ()))
                return {"problem": f"{num_come} of {num_streams} streams came within {PATIENCE_SECONDS:g} s"}
            time.sleep(0.002)
        time.sleep(warmup_seconds)
        marks = [self._mark(test)]
        for _ in range(2):
            time.sleep(window_seconds / 2)
            marks.append(self._mark(test))
        halves = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in (marks[:2], marks[1:])]
        whole = (marks[2][1] - marks[0][1]) / (marks[2][0] - marks[0][0])
        return {"problem": None, "bytes_per_second": whole, "halves": halves}

    def _mark(self, test: str) -> tuple[float, int]:
        return time.monotonic(), sum(count[0] for count in self._counts[test])

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, peer = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection: socket.socket, peer: Any) -> None:
        with connection, contextlib.suppress(OSError, ValueError, struct.error):
            connection.settimeout(PATIENCE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = json.loads(read_line(connection))
            if asked.get("token") != self.token:
                return
            connection.sendall(json.dumps({"node": self.node, "peer": plain_ip(peer[0])}).encode() + b"\n")
            connection.settimeout(IDLE_SECONDS)
            if asked["what"] == "clock":
                self._clock(connection)
            elif asked["what"] == "sink":
                self._sink(connection, asked["test"])

    def _clock(self, connection: socket.socket) -> None:
        """As NTP (RFC 5905, section 8): the time at which a question came, and at which the answer left."""
        while len(connection.recv(1)) == 1:
            came = time.time()
            connection.sendall(CLOCKS.pack(came, time.time()))

    def _sink(self, connection: socket.socket, test: str) -> None:
        count = [0]  # one writer each
        with self._lock:
            self._counts.setdefault(test, []).append(count)
        block = bytearray(BLOCK_BYTES)
        while True:
            num_bytes = connection.recv_into(block)
            if num_bytes == 0:
                return
            count[0] += num_bytes

    def _echo(self, echo: socket.socket) -> None:
        """Answer to a large datagram with a small one, so that only one direction is tried."""
        token = self.token.encode()
        while True:
            try:
                data, peer = echo.recvfrom(2**16)
                if data.startswith(token):
                    echo.sendto(data[: len(token) + 4], peer)
            except OSError:
                continue


def tcp_server(address: str, port: int) -> socket.socket:
    """Listening at `address`; at all of this machine where it is empty, over IPv4 and IPv6 where both are there."""
    if not address and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=64)


def read_line(connection: socket.socket) -> bytes:
    """Up to the end of a line; ConnectionError where the peer ends before."""
    line = b""
    while not line.endswith(b"\n"):
        if len(line) >= MOST_LINE_BYTES:
            raise ConnectionError("no line")
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("closed")
        line += byte
    return line


def read_exactly(connection: socket.socket, num_bytes: int) -> bytes:
    """`num_bytes`; ConnectionError where the peer ends before."""
    data = b""
    while len(data) < num_bytes:
        more = connection.recv(num_bytes - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def plain_ip(text: str) -> str:
    """An IPv4 address without its IPv6 form (RFC 4291, section 2.5.5.2)."""
    return text[7:] if text.startswith("::ffff:") else text
