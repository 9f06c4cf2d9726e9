"""GPUs of the catalog: one sheet each in `data/gpus`, read when it is named."""

from __future__ import annotations

import functools
import re

from crosszone.catalog.sheets import Figure, Sheet, sheet, sheet_names
from crosszone.core.cluster import Gpu

FOLDER = "gpus"
MAKERS = ("nvidia", "amd", "huawei", "tesla", "geforce", "instinct")
"""What drivers and people write before a GPU's name."""


def gpu_names() -> tuple[str, ...]:
    """Full names of all GPUs, sorted."""
    return sheet_names(FOLDER)


def gpu(name: str) -> Gpu:
    """The GPU called `name`, or one of whose aliases `name` is; `A100 SXM4 80GB` is `a100-sxm4-80gb`.

    An alias without size or form (`a100`, `v100`) stands for one part; its sheet says which.

    Errors: UnknownName with the nearest names.
    """
    return _gpu(_sheet(name))


def gpu_facts(name: str) -> tuple[Figure, ...]:
    """Every figure of the GPU with its source, in the order of its sheet.

    Errors: UnknownName with the nearest names.
    """
    return _sheet(name).figures


def gpu_sheet(name: str) -> Sheet:
    """All facts of the GPU: its texts (title, note, system.name), aliases and figures.

    Errors: UnknownName with the nearest names.
    """
    return _sheet(name)


def _sheet(name: str) -> Sheet:
    if name in gpu_names():
        return sheet(FOLDER, name, "gpu")
    return sheet(FOLDER, _folded(name), "gpu")


def _folded(name: str) -> str:
    """`NVIDIA A100-SXM4-80GB` as the catalog writes it: lower case, dashes, no maker."""
    words = re.split(r"[\s_-]+", name.strip().lower())
    kept = [word for word in words if word not in MAKERS]
    return re.sub(r"-(\d+)-gb\b", r"-\1gb", "-".join(kept or words))


@functools.cache
def _gpu(sheet: Sheet) -> Gpu:
    known = sheet.known
    return Gpu(
        name=sheet.name,
        vendor=sheet.text("vendor"),
        generation=sheet.text("generation"),
        form_factor=sheet.text("form_factor"),
        peak_flop_per_second=sheet.table("peak_flop_per_second"),
        vector_flop_per_second=sheet.number("vector_flop_per_second"),
        memory_bytes=sheet.number("memory_bytes"),
        memory_bytes_per_second=sheet.number("memory_bytes_per_second"),
        l2_bytes=known("l2_bytes"),
        num_sms=_count(known("num_sms")),
        boost_hertz=known("boost_hertz"),
        tdp_watts=known("tdp_watts"),
        fabric_kind=sheet.text("fabric.kind"),
        fabric_num_gpus=int(sheet.number("fabric.num_gpus")),
        fabric_bytes_per_second=known("fabric.bytes_per_second"),
        pcie_bytes_per_second=known("pcie_bytes_per_second"),
        system_gpus_per_node=int(sheet.number("system.gpus_per_node")),
        system_network_bytes_per_second=known("system.network_bytes_per_second"),
        system_num_rails=_count(known("system.num_rails")),
        source="; ".join(dict.fromkeys(figure.source for figure in sheet.figures)),
    )


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
