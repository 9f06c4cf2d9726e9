"""What a node says of itself. Sent to it as text: standard library and Python 3.8 only, and torch is not imported."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from typing import Any

PACKAGES = ("torch", "transformers", "deepspeed", "megatron-core", "torchtitan", "horovod", "numpy")
NCCL_PACKAGES = ("nvidia-nccl-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu11")
"""What torch's CUDA wheels depend on (PyPI, metadata of torch 2.10 and before)."""
PROGRAMS = ("bash", "ip", "getent", "awk", "sed", "tar", "setsid")
"""That the launch files of bundles call."""
BYTES_PER_MEBIBYTE = 2**20
BYTES_PER_KIBIBYTE = 2**10
BYTES_PER_MEGABIT = 1e6 / 8
LIMIT_SECONDS = 10.0


def machine_facts(folder: str | None) -> dict[str, Any]:
    """Versions, memory, disk of `folder` or of where this runs, network devices. None: not found out."""
    cuda, nccl = torch_versions()
    driver, gpus = gpu_facts()
    memory_bytes, free_memory_bytes = memory()
    return {
        "hostname": socket.gethostname(),
        "python_version": platform.python_version(),
        "python_path": sys.executable,
        "package_versions": {name: package_version(name) for name in PACKAGES},
        "cuda_version": cuda,
        "nccl_version": nccl,
        "driver_version": driver,
        "gpus": gpus,
        "num_cpus": os.cpu_count(),
        "memory_bytes": memory_bytes,
        "free_memory_bytes": free_memory_bytes,
        "free_disk_bytes": free_disk_bytes(folder),
        "interfaces": interfaces(),
        "congestion_control": file_text("/proc/sys/net/ipv4/tcp_congestion_control"),
        "socket_bytes": socket_bytes(),
        "is_clock_synchronised": is_clock_synchronised(),
        "missing_programs": [name for name in PROGRAMS if shutil.which(name) is None],
    }


def package_version(name: str) -> str | None:
    """As installed; None where it is not."""
    try:
        return importlib.metadata.version(name)
    except Exception:  # noqa: BLE001 - damaged metadata raises many things
        return None


def torch_versions() -> tuple[str | None, str | None]:
    """(CUDA that torch was built with, NCCL that it loads), read from files."""
    nccl = next((found for found in map(package_version, NCCL_PACKAGES) if found), None)
    text = None
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec("torch")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            text = file_text(os.path.join(folder, "version.py"))
    match = re.search(r"^cuda\b[^=]*= *'([0-9.]+)'", text or "", re.MULTILINE)
    return (match.group(1) if match else None), nccl


def gpu_facts() -> tuple[str | None, list[dict[str, Any]]]:
    """(driver version, GPUs), as nvidia-smi lists them; (None, []) without it."""
    query = "--query-gpu=driver_version,name,memory.total,memory.free"
    text = output(["nvidia-smi", query, "--format=csv,noheader,nounits"])
    gpus, driver = [], None
    for line in (text or "").splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4:
            driver = cells[0]
            gpus.append({"name": cells[1], "memory_bytes": mebibytes(cells[2]), "free_bytes": mebibytes(cells[3])})
    return driver, gpus


def mebibytes(cell: str) -> float | None:
    """Bytes of a cell that counts MiB, as nvidia-smi does; None for "[N/A]"."""
    try:
        return float(cell) * BYTES_PER_MEBIBYTE
    except ValueError:
        return None


def memory() -> tuple[float | None, float | None]:
    """(bytes, free bytes) of this machine, or of the container where that has less."""
    found = dict(re.findall(r"^(\w+): +(\d+) kB$", file_text("/proc/meminfo") or "", re.MULTILINE))
    total, free = (float(found[key]) * BYTES_PER_KIBIBYTE if key in found else None for key in MEMORY_KEYS)
    limit, used = (number(file_text("/sys/fs/cgroup/memory." + name)) for name in ("max", "current"))
    if limit is not None and (total is None or limit < total):
        total = limit
        if used is not None:
            free = limit - used if free is None else min(free, limit - used)
    return total, free


MEMORY_KEYS = ("MemTotal", "MemAvailable")


def free_disk_bytes(folder: str | None) -> float | None:
    """Of the file system of `folder`, or of its nearest parent that exists."""
    path = os.path.abspath(folder or ".")
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        return float(shutil.disk_usage(path).free)
    except OSError:
        return None


def interfaces() -> list[dict[str, Any]]:
    """Network devices of the kernel's list, loopback among them."""
    found = []
    for _, name in sorted(socket.if_nameindex()):
        place = "/sys/class/net/" + name + "/"
        speed = number(file_text(place + "speed"))
        mtu = number(file_text(place + "mtu")) or interface_mtu(name)
        if mtu is None:
            continue
        found.append(
            {
                "name": name,
                "mtu_bytes": int(mtu),
                "bytes_per_second": speed * BYTES_PER_MEGABIT if speed is not None and speed > 0 else None,
                "is_up": (file_text(place + "operstate") or "unknown") != "down",
            }
        )
    return found


def interface_mtu(name: str) -> float | None:
    """By ioctl, where /sys shows another network namespace (ioctl SIOCGIFMTU, netdevice(7))."""
    import fcntl
    import struct

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            answer = fcntl.ioctl(any_socket, 0x8921, struct.pack("16si20x", name.encode(), 0))
        return float(struct.unpack("16si20x", answer)[1])
    except OSError:
        return None


def socket_bytes() -> float | None:
    """Largest buffer of one TCP connection: the least of the last numbers of tcp_wmem and tcp_rmem (tcp(7))."""
    texts = [file_text("/proc/sys/net/ipv4/tcp_" + name) for name in ("wmem", "rmem")]
    numbers = [number(text.split()[-1]) for text in texts if text]
    known = [each for each in numbers if each is not None]
    return min(known) if known else None


def is_clock_synchronised() -> bool | None:
    """As systemd says; None where it does not run."""
    text = output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    return {"yes": True, "no": False}.get((text or "").strip())


def file_text(path: str) -> str | None:
    """What a small file holds, without the white space around it; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def number(text: str | None) -> float | None:
    """None where `text` is no number, as "max"."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def output(command: list[str]) -> str | None:
    """What a program prints; None where it is missing, fails or does not end."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
