"""A long wire between two network namespaces, for machines whose kernel has no netem: python wide_link.py --help.

A TUN device in each namespace; one process per direction hands packets on after they took their time at the rate and
waited half the round trip. Packets cross as the kernel makes them, before TCP cuts them (IFF_VNET_HDR with TSO,
linux/if_tun.h), so that Python keeps up with some Gbit/s.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 1, 2
CLONE_NEWNET = 0x40000000
HEADER_BYTES = 10  # struct virtio_net_hdr
MOST_PACKET_BYTES = 2**16 + HEADER_BYTES
QUEUE_SECONDS = 0.05


def open_device(namespace: str, address: str, peer: str) -> int:
    """A TUN device called wide0 with `address` in a namespace; packets are read from and written to its number."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wide0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    finally:
        libc.setns(home, CLONE_NEWNET)
    inside = ("ip", "-n", namespace)
    subprocess.run([*inside, "address", "add", f"{address}/32", "peer", peer, "dev", "wide0"], check=True)
    subprocess.run([*inside, "link", "set", "wide0", "txqueuelen", "10000", "up"], check=True)
    return device


def carry(source: int, target: int, bytes_per_second: float, delay_seconds: float) -> None:
    """Hand packets on for ever, in order."""
    on_the_way: collections.deque[tuple[float, bytes]] = collections.deque()
    free = 0.0
    while True:
        now = time.monotonic()
        while True:
            try:
                packet = os.read(source, MOST_PACKET_BYTES)
            except BlockingIOError:
                break
            start = max(free, now)
            if start - now > QUEUE_SECONDS + delay_seconds:
                continue  # the queue before the wire is full
            free = start + (len(packet) - HEADER_BYTES) / bytes_per_second
            on_the_way.append((free + delay_seconds, packet))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            os.write(target, on_the_way.popleft()[1])
        wait = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        select.select([source], [], [], wait)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespaces", nargs=2)
    parser.add_argument("addresses", nargs=2)
    parser.add_argument("--bytes-per-second", type=float, required=True)
    parser.add_argument("--rtt-seconds", type=float, required=True)
    asked = parser.parse_args()
    ends = [
        open_device(namespace, address, peer)
        for namespace, address, peer in zip(asked.namespaces, asked.addresses, reversed(asked.addresses), strict=True)
    ]
    children = []
    for source, target in (ends, ends[::-1]):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            carry(source, target, asked.bytes_per_second, asked.rtt_seconds / 2)
        children.append(child)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the test closes it
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
