"""The cluster of a row: its GPU by family, form factor and memory; its network from what the table says of it."""

import functools
import itertools
import math
import re
from dataclasses import dataclass

from crosszone.catalog.gpus import gpu as catalog_gpu
from crosszone.catalog.gpus import gpu_names
from crosszone.core.cluster import Cluster, Gpu
from crosszone.core.problem import Notice
from crosszone.errors import SpecError, UnknownName, nearest_hint
from crosszone.spec import read_job
from crosszone.verify.row import Row

ZONE = "zone"
MAX_GPUS = 10_000_000
UNKNOWN_NETWORK = "1x100 Gbit/s"
"""Of a node whose GPU has no standard system in the catalog and whose table says nothing."""
UNKNOWN_FABRIC = "63 GB/s"
"""PCI Express 5.0 with 16 lanes, one direction: where the catalog knows no fabric of the GPU."""
BRACKETS = re.compile(r"[(\[].*?[)\]]")
COUNT = re.compile(r"(?<=\d)x\s*\d+$|^\d+\s*x\s*(?=[a-z])", re.IGNORECASE)
"""How many there are: `GH-96x16`, `8x A100`."""
FAMILIES = {"gh": "gh200"}
"""Short names of a family that no sheet has as an alias."""
RAILS = re.compile(r"(?:(\d+)\s*x\s*(?:[A-Za-z][\w-]*\s+){0,2})?(\d+(?:\.\d+)?)\s*([TG])b(?:it)?(?:/s|ps)?(?![A-Za-z])")
"""A rate in bits with its number of rails: `8x200Gb`, `400 Gb/s`, `2 Tb/s`. `GB/s` is bytes, of a fabric, and is not
one."""
SLOW_NETWORKS = (
    (
        r"omni-?path",
        0.35,
        "Omni-Path with PSM2 and without GPUDirect reaches 0.28 of its rate, where others reach 0.8 (BLOOM's runs)",
    ),
)
"""(what is found in the text, its rate over that of a network that reaches the usual share, why)"""
PER_GPU = re.compile(r"per\s+(gpu|accelerator|rank)", re.IGNORECASE)
UNSURE = re.compile(r"not (stated|printed|in the)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A cluster as `crosszone predict` would read it, and what of it was assumed."""

    cluster: Cluster
    assumed: tuple[Notice, ...]


def gpu_of(row: Row) -> Gpu:
    """The GPU that the row names. Errors: SpecError where the catalog has none like it, or the row names several."""
    text = row.text("gpu")
    if not text:
        raise SpecError.of("gpu is blank.")
    if ";" in text or "+" in text:
        raise SpecError.of(f'gpu is "{text[:60]}": runs on GPUs of several kinds are not in one row\'s reach.')
    name = catalog_name(text)
    if name is None:
        hint = nearest_hint(BRACKETS.sub("", text).strip(), gpu_names())
        raise SpecError.of(f'the catalog has no GPU like "{text[:60]}".', hint=hint)
    return catalog_gpu(name)


@functools.lru_cache(maxsize=1024)
def catalog_name(text: str) -> str | None:
    """The catalog's name of the GPU that `text` describes; None where there is none.

    What is in brackets is ignored. Where the words are no name or alias, they are taken apart: a family (a100), a
    form factor (sxm, pcie), a memory size. All that `text` states must agree; of several sheets the one that the
    family's bare name stands for comes first.
    """
    plain = COUNT.sub("", BRACKETS.sub(" ", text)).strip()
    try:
        return catalog_gpu(plain).name
    except UnknownName:
        pass
    words = [FAMILIES.get(word, word) for word in re.split(r"[\s_/,-]+", plain.lower()) if word]
    sizes = [match[1] for word in words if (match := re.fullmatch(r"(\d{2,3})(gb|gib|g)?", word))]
    forms = [word for word in words if re.fullmatch(r"sxm\d?|pcie\d?|nvl\d*", word)]
    families = _families()
    pairs = [f"{first}-{second}" for first, second in itertools.pairwise(words)]
    family = next((word for word in (*pairs, *words) if word in families), None)
    if family is None:
        return None
    likely = [
        name
        for name in families[family]
        if all(f"{size}gb" in name or family.endswith(size) for size in sizes if size not in family)
        and all(re.sub(r"\d+$", "", form) in name for form in forms)
    ]
    return likely[0] if likely else None


def site_of(row: Row, gpu: Gpu, num_gpus: int) -> Site:
    """The nodes of the row as one zone."""
    if num_gpus > MAX_GPUS:
        raise SpecError.of(f"{num_gpus} GPUs; at most {MAX_GPUS} are planned for.")
    per_node = row.count("gpus_per_node")
    if per_node is None:
        per_node = gpu.system_gpus_per_node
        row.assume("gpus_per_node", per_node, f"that of the standard system of {gpu.name}")
    if num_gpus % per_node and num_gpus > per_node:
        fewer = math.gcd(num_gpus, per_node)
        row.assume("gpus_per_node", fewer, f"{num_gpus} GPUs do not fill nodes of {per_node}")
        per_node = fewer
    per_node = min(per_node, num_gpus)
    network = network_text(row.text("network"), per_node)
    slow = next((entry for entry in SLOW_NETWORKS if network and re.search(entry[0], row.text("network"), re.I)), None)
    if network and slow:
        network = re.sub(r"(?<=x)[\d.]+", lambda rate: f"{float(rate[0]) * slow[1]:g}", network)
        row.assume("network", network, slow[2])
    if network and UNSURE.search(row.text("network")):
        row.assume("network", network, "the table gives it as not printed by the source")
    elif network is None and gpu.system_network_bytes_per_second is None:
        network = UNKNOWN_NETWORK
        row.assume("network", network, f"the catalog knows no standard system of {gpu.name}")
    fabric = None
    has_fabric = gpu.fabric_num_gpus > 1 and gpu.fabric_bytes_per_second is not None
    if not has_fabric and gpu.pcie_bytes_per_second is None:
        fabric = UNKNOWN_FABRIC
        row.assume("fabric", fabric, f"the catalog knows none between GPUs like {gpu.name}")
    site = _site(gpu.name, num_gpus // per_node, per_node, network, fabric)
    row.assumed.extend(f"{_place(notice.where)}: {notice.message}" for notice in site.assumed)
    return site


def network_text(text: str, gpus_per_node: int) -> str | None:
    """What `text` says of a node's network, as a job file writes it ("8x200 Gbit/s"); None where it says nothing.

    "per GPU" is one rail for each GPU of the node; else the rate is the node's, or that of each of its rails.
    """
    found = RAILS.search(text)
    if found is None:
        return None
    rails, rate, prefix = found[1], found[2], found[3]
    is_per_gpu = rails is None and PER_GPU.search(text, found.end()) is not None
    number = gpus_per_node if is_per_gpu else int(rails or 1)
    if not 0 < number <= 1024 or not float(rate) > 0.0:
        return None
    return f"{number}x{rate} {prefix}bit/s"


@functools.lru_cache(maxsize=1)
def _families() -> dict[str, tuple[str, ...]]:
    """Sheets of each family, the one that its bare name stands for first."""
    found: dict[str, list[str]] = {}
    for name in gpu_names():
        parts = name.split("-")
        for family in {parts[0], f"{parts[0]}-{parts[1]}", parts[1] if parts[0] in ("rtx", "titan") else parts[0]}:
            found.setdefault(family, []).append(name)
    return {family: tuple(sorted(names, key=lambda name: name != _bare(family))) for family, names in found.items()}


def _bare(family: str) -> str | None:
    try:
        return catalog_gpu(family).name
    except UnknownName:
        return None


@functools.lru_cache(maxsize=4096)
def _site(gpu: str, num_nodes: int, gpus_per_node: int, network: str | None, fabric: str | None) -> Site:
    """Read as a job file is, so that fabric and network are those of `crosszone predict`. SpecError."""
    nodes: dict[str, object] = {"count": num_nodes, "gpu": gpu, "gpus_per_node": gpus_per_node}
    if network is not None:
        nodes["network"] = network
    if fabric is not None:
        nodes["fabric"] = {"kind": "pcie", "bandwidth": fabric}
    job = {
        "model": "gpt3-small",
        "workload": {"sequence_length": 1, "global_batch_size": 1},
        "cluster": {"zones": [{"name": ZONE, "nodes": [nodes]}]},
    }
    problem = read_job(job)
    assumed = tuple(notice for notice in problem.assumed if notice.where.startswith("cluster"))
    return Site(cluster=problem.cluster, assumed=assumed)


def _place(where: str) -> str:
    return where.rpartition(".")[2]
