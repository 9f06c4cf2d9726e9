"""Nodes that SkyPilot rents: which providers it knows, what they can do, and the task of one part of a job.

Source: skypilot 0.14.1, sky/clouds/*.py (`_CLOUD_UNSUPPORTED_FEATURES`), sky/utils/infra_utils.py and
sky/utils/schemas.py; docs.skypilot.co, SkyPilot YAML. Read on 2026-11-21.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crosszone.core.bundle import Launch
from crosszone.deploy.gpu_names import skypilot_accelerator
from crosszone.deploy.parts import Part, job_name, parts
from crosszone.errors import Finding

VERSION = "0.14.1"
IDLE_SECONDS = 1800
"""Nodes without work are given back after so long. Chosen: time to look at a failure."""
ZONED = ("aws", "gcp")
"""Providers whose zones SkyPilot tells apart, and whose zones are called as their region and a letter."""
MASTER_VARIABLE = "PET_MASTER_ADDR"
"""What torchrun reads where --master-addr is not given (torch 2.13, distributed/argparse_util.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What SkyPilot can do at one provider; all of these give idle nodes back by themselves."""

    has_clusters: bool = True
    """Several nodes that reach each other."""
    has_preemptible: bool = True
    has_images: bool = True


PROVIDERS = {
    "aws": Provider(),
    "azure": Provider(),
    "cudo": Provider(has_preemptible=False, has_images=False),
    "gcp": Provider(),
    "lambda": Provider(has_preemptible=False),
    "nebius": Provider(),
    "oci": Provider(has_images=False),
    "paperspace": Provider(has_preemptible=False),
    "runpod": Provider(has_clusters=False),
    "vast": Provider(has_clusters=False),
}


def rented_parts(launch: Launch) -> tuple[Part, ...]:
    """One SkyPilot cluster each: its nodes are alike."""
    return parts(launch, launch.started, is_even=False)


def cluster_name(launch: Launch, part: Part) -> str:
    """Of the SkyPilot cluster of a part."""
    return f"{job_name(launch)}-p{part.index}"


def provider_and_region(part: Part) -> tuple[str, str]:
    """("", "") where the job file does not say."""
    provider, _, region = (part.zone.region or "").partition(":")
    return provider, region


def infra(part: Part) -> str:
    """`cloud/region`, and `/zone` where the zone is called as the provider calls one of its own."""
    provider, region = provider_and_region(part)
    is_zone = provider in ZONED and re.fullmatch(re.escape(region) + "-?[a-z]", part.zone.name)
    return "/".join((provider, region, part.zone.name) if is_zone else (provider, region))


def image_of(launch: Launch, part: Part) -> str | None:
    """The job file's, else the framework's; None: the provider's own."""
    return part.group.image or launch.image


def data_files(launch: Launch) -> tuple[str, ...]:
    """Files of tokens, which SkyPilot copies to the same paths on the nodes; Megatron's data sets are two of them."""
    path = launch.data_path
    if path is None:
        return ()
    return (f"{path}.bin", f"{path}.idx") if "--data-path" in launch.argv else (path,)


def unrentable(launch: Launch) -> Iterator[Finding]:
    """Why SkyPilot cannot rent what the launch starts on."""
    for part in rented_parts(launch):
        zone = f"cluster.zones[{part.agents[0].zone_index}]"
        group = f"{zone}.nodes[{part.agents[0].node_group}]"
        name, region = provider_and_region(part)
        if not region:
            continue  # asked for elsewhere
        provider = PROVIDERS.get(name)
        if provider is None:
            text = f"SkyPilot {VERSION} rents no nodes from {name}, but from {', '.join(PROVIDERS)}."
            yield _finding(f"{zone}.region", text, "Take another provider, or the backend slurm, kubernetes or ssh.")
            continue
        if launch.device == "cuda" and skypilot_accelerator(part.group.gpu, name) is None:
            text = f"what SkyPilot calls {part.group.gpu.name} at {name} is not known."
            yield _finding(f"{group}.gpu", text, "Take a GPU that SkyPilot's catalogue lists.")
        if not provider.has_clusters and launch.num_nodes > 1:
            text = f"SkyPilot joins no nodes of {name} with others, and the plan has {launch.num_nodes}."
            yield _finding(f"{zone}.region", text, "Take a plan of one node, or another provider.")
        if part.group.is_preemptible and not provider.has_preemptible:
            text = f"SkyPilot has no preemptible nodes of {name}."
            yield _finding(f"{group}.preemptible", text, "Write preemptible: false.")
        if part.group.image is not None and not provider.has_images:
            text = f"SkyPilot starts no container images at {name}."
            yield _finding(f"{group}.image", text, "Leave image out.")
        elif launch.image is not None and not provider.has_images:
            text = f"the framework runs in a container image, and SkyPilot starts none at {name}."
            yield _finding(f"{zone}.region", text, "Take another provider or framework.")


def task(launch: Launch, part: Part) -> dict[str, Any]:
    """A SkyPilot task, as its YAML has it."""
    spans = len(rented_parts(launch)) > 1
    data = data_files(launch)
    return {
        "name": cluster_name(launch, part),
        "num_nodes": len(part.agents),
        "workdir": ".",
        "resources": _resources(launch, part),
        **({"file_mounts": {path: path for path in data}} if data else {}),
        **({"envs": {MASTER_VARIABLE: ""}} if spans else {}),
        "setup": f"bash launch/setup.sh{'' if image_of(launch, part) is None else ' image'}\n",
        "run": f"bash launch/node.sh {part.agents[0].index}\n",
    }


def _resources(launch: Launch, part: Part) -> dict[str, Any]:
    group = part.group
    name = skypilot_accelerator(group.gpu, provider_and_region(part)[0])
    uses_gpus = launch.device == "cuda"
    image = image_of(launch, part)
    return {
        "infra": infra(part),
        **({"accelerators": {name: group.gpus_per_node}} if uses_gpus else {"cpus": f"{part.num_ranks}+"}),
        **({"use_spot": True} if group.is_preemptible else {}),
        **({"disk_size": math.ceil(group.disk_bytes / 2**30)} if group.disk_bytes else {}),
        **({} if image is None else {"image_id": f"docker:{image}"}),
        "autostop": {"idle_minutes": IDLE_SECONDS // 60, "down": True},
    }


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="not_rentable", where=where, message=message, hint=hint)
