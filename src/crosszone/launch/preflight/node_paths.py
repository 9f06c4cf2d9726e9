"""What a node sees of the others: names, ports, round trips, bandwidths. Sent as text: standard library, Python 3.8."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import re
import socket
import statistics
import struct
import sys
import threading
import time
from typing import Any

from crosszone.launch.preflight.node_facts import output
from crosszone.launch.preflight.node_sockets import BLOCK_BYTES, CLOCKS, plain_ip, read_exactly, read_line

CONNECT_SECONDS = 4.0
LEAST_PINGS, MOST_PINGS = 5, 20
PING_SECONDS = 2.0
"""Pings end after so long, or after `MOST_PINGS`, but never before `LEAST_PINGS`."""
SIOCGIFADDR = 0x8915
TCP_INFO_BYTES = 104
"""Up to tcpi_total_retrans (linux/tcp.h)."""
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3
"""linux/in.h, linux/in6.h: packets are not fragmented, and what the kernel learnt before is not used."""
HEADER_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
"""IP and UDP."""
LEAST_MTU_BYTES = {socket.AF_INET: 576, socket.AF_INET6: 1280}
"""Which every host takes (RFC 791) or every link carries (RFC 8200)."""
TRIES = 3


def resolve(name: str) -> list[str]:
    """IP addresses of a name, the preferred first; empty where there is none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reach(address: str, port: int, node: int, token: str) -> dict[str, Any]:
    """Whether the node `node` answers at a port, and what both sides call this one."""
    try:
        connection, answer = greet(address, port, token, {"what": "hello"})
    except OSError as error:
        return {"problem": problem_of(error)}
    except ValueError:
        return {"problem": "other_program"}
    with connection:
        source = plain_ip(connection.getsockname()[0])
    if answer.get("node") != node:
        return {"problem": "other_node", "answered": answer.get("node")}
    return {"problem": None, "source": source, "seen": answer["peer"], "interface": interface_to(address, source)}


def greet(address: str, port: int, token: str, asked: dict[str, Any]) -> tuple[socket.socket, dict[str, Any]]:
    """A connection on which the other has said who it is. OSError, ValueError where it speaks otherwise."""
    connection = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(json.dumps(dict(asked, token=token)).encode() + b"\n")
        answer = json.loads(read_line(connection))
        if not isinstance(answer, dict):
            raise ValueError(answer)
    except (OSError, ValueError) as error:
        connection.close()
        # It took the connection and then did not answer as we do.
        raise ValueError(str(error)) from None
    return connection, answer


def problem_of(error: OSError) -> str:
    """Why no connection came about, in a word."""
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "timed_out"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL):
        return "no_route"
    return error.strerror or str(error)


def interface_to(address: str, source: str) -> str | None:
    """Network device of the route to an IP address: as `ip` says, else the one that has the address `source`."""
    match = re.search(r" dev (\S+)", output(["ip", "-o", "route", "get", address]) or "")
    if match:
        return match.group(1)
    for _, name in socket.if_nameindex():
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            answer = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", name.encode()))
            if socket.inet_ntoa(answer[20:24]) == source:
                return name
    return None


def ping(address: str, port: int, token: str) -> dict[str, Any]:
    """Round trips over one TCP connection, and how far the other's clock is ahead.

    offset = ((t2 - t1) + (t3 - t4)) / 2 of the shortest round trip (RFC 5905, section 8). OSError, ValueError.
    """
    connection, _ = greet(address, port, token, {"what": "clock"})
    trips: list[tuple[float, float]] = []
    with connection:
        started = time.monotonic()
        while len(trips) < MOST_PINGS and (len(trips) < LEAST_PINGS or time.monotonic() - started < PING_SECONDS):
            asked, left = time.time(), time.perf_counter()
            connection.sendall(b".")
            came, answered = CLOCKS.unpack(read_exactly(connection, CLOCKS.size))
            trip = time.perf_counter() - left
            trips.append((trip, ((came - asked) + (answered - (asked + trip))) / 2))
    seconds = [trip for trip, _ in trips]
    return {
        "rtt_seconds": statistics.median(seconds),
        "jitter_seconds": statistics.pstdev(seconds),
        "clock_offset_seconds": min(trips)[1],
    }


def send(address: str, port: int, token: str, test: str, num_streams: int, seconds: float) -> dict[str, Any]:
    """Fill `num_streams` connections for so long. OSError, ValueError."""
    streams = [greet(address, port, token, {"what": "sink", "test": test})[0] for _ in range(num_streams)]
    resent: list[float] = []
    threads = [threading.Thread(target=fill, args=(stream, seconds, resent), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + CONNECT_SECONDS)
    return {"resent_fraction": statistics.fmean(resent) if resent else None}


def fill(stream: socket.socket, seconds: float, resent: list[float]) -> None:
    """Send for so long, then drop what is not sent yet: it would be in the way of the next measurement."""
    block, sent_bytes, deadline = bytes(BLOCK_BYTES), 0, time.monotonic() + seconds
    stream.settimeout(0.2)
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            with contextlib.suppress(socket.timeout):
                sent_bytes += stream.send(block)
        fraction = resent_fraction(stream, sent_bytes)
        if fraction is not None:
            resent.append(fraction)
    with contextlib.suppress(OSError):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def resent_fraction(stream: socket.socket, sent_bytes: int) -> float | None:
    """Packets that TCP sent again, of all; None where the kernel does not say (tcpi_total_retrans, linux/tcp.h)."""
    if sys.platform != "linux":
        return None
    try:
        info = stream.getsockopt(socket.IPPROTO_TCP, 11, TCP_INFO_BYTES)
        packet_bytes = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    except OSError:
        return None
    if len(info) < TCP_INFO_BYTES or not sent_bytes or not packet_bytes:
        return None
    return float(min(1.0, struct.unpack("I", info[-4:])[0] * packet_bytes / sent_bytes))


def path_mtu(address: str, port: int, token: str, most_bytes: int, rtt_seconds: float) -> int | None:
    """Largest IP packet that arrives whole, up to `most_bytes`; None where no datagram is answered."""
    if sys.platform != "linux":
        return None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
            else:
                probe.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
            probe.connect((address, port))
        except OSError:
            return None
        probe.settimeout(max(0.15, 3 * rtt_seconds))
        low, high = LEAST_MTU_BYTES[family], min(most_bytes, 2**16 - 1)
        if not passes(probe, low, token):
            return None
        if passes(probe, high, token):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if passes(probe, middle, token) else (low, middle)
        return low


def passes(probe: socket.socket, packet_bytes: int, token: str) -> bool:
    """Whether a packet of this size is answered, in a few tries."""
    mark = token.encode() + struct.pack("!I", packet_bytes)
    data = mark.ljust(packet_bytes - HEADER_BYTES[probe.family], b".")
    for _ in range(TRIES):
        try:
            probe.send(data)
            while probe.recv(2**10) != mark:
                pass
            return True
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                return False
    return False
