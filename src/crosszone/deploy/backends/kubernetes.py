"""Kubernetes: a Kubeflow TrainJob with a runtime of its own, or a JobSet where nodes or zones differ.

In one cluster, zones are told apart by topology.kubernetes.io/zone, whose value is the zone's name, and pods find each
other by name. Where each zone is a cluster of its own (`--zone`), pods use their nodes' network and addresses.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from crosszone.core.bundle import NO_CHECKPOINTS, TORCHRUN, DeployRequest, Launch
from crosszone.core.cluster import Zone
from crosszone.deploy.entry import ENTRY_PATH
from crosszone.deploy.gpu_names import kubernetes_products
from crosszone.deploy.parts import unfit_for_parts
from crosszone.deploy.places import no_addresses
from crosszone.deploy.pod_scripts import (
    CLUSTER_PATH,
    NODE_PATH,
    POD_PATH,
    THIS_NODE,
    cluster_text,
    pod_text,
    run_text,
    stop_text,
)
from crosszone.deploy.pods import CLAIM, PRODUCT_LABEL, ZONE_LABEL, objects, pod_addresses, spans_zones
from crosszone.deploy.scripts import agent_path, agent_text
from crosszone.deploy.yaml_text import yaml_text
from crosszone.errors import Finding

TITLE = "Kubernetes"
LAUNCHERS = (TORCHRUN,)
ADDRESSES_FROM = None
RUN_PATH, STOP_PATH = "run_training.sh", "stop_training.sh"
POD_INTERFACE = "eth0"
"""The device of a pod's own network: what containerd and CRI-O name it, whatever the network plugin."""
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""A label's value: Kubernetes documentation, Labels and Selectors, syntax."""
STEPS = {
    "en": (
        "On a machine whose `kubectl` points at the cluster (`KUBE_CONTEXT` and `NAMESPACE` name others), in this "
        f"folder: `./{RUN_PATH}`. It looks whether the cluster has what the job needs, hands the files over as a "
        "ConfigMap, creates the job, and follows it.",
        f"Ctrl-C stops following, not the run: `./{RUN_PATH} --follow` goes on, `./{STOP_PATH}` stops the run and "
        "takes away what was created.",
        "Images need bash and Python 3.11; what `requirements.txt` lists is installed at the start where it is "
        "missing. Pods see InfiniBand only where the cluster gives them its devices; else NCCL takes TCP.",
    ),
    "zh": (
        "在 `kubectl` 指向目标集群的机器上(`KUBE_CONTEXT`、`NAMESPACE` 可另行指定),于本目录运行:"
        f"`./{RUN_PATH}`。它先检查集群是否满足要求,再以 ConfigMap 交付文件、创建任务并持续跟踪。",
        f"按 Ctrl-C 只停止跟踪,不停止训练:`./{RUN_PATH} --follow` 继续跟踪,"
        f"`./{STOP_PATH}` 停止训练并删除所创建的对象。",
        "镜像需含 bash 与 Python 3.11;`requirements.txt` 所列而镜像没有的软件在启动时安装。"
        "只有集群把 InfiniBand 设备分配给 pod 时才会使用它,否则 NCCL 走 TCP。",
    ),
}


def problems(launch: Launch) -> Iterator[Finding]:
    """One torchrun per pod, one pod per node, on GPUs whose label is known."""
    yield from unfit_for_parts(launch, backend="kubernetes")
    if launch.device != "cuda":
        return
    for gpu in sorted({launch.group_of(agent).gpu.name for agent in launch.started}):
        agent = next(agent for agent in launch.started if launch.group_of(agent).gpu.name == gpu)
        if not kubernetes_products(launch.group_of(agent).gpu):
            yield Finding(
                code="unknown_gpu",
                where=f"cluster.zones[{agent.zone_index}].nodes[{agent.node_group}].gpu",
                message=f"pods ask for NVIDIA GPUs ({PRODUCT_LABEL}), and what nodes with {gpu} are labelled is not "
                "known.",
                hint="Take bare, ssh or slurm.",
            )


def lacking(zone: Zone, group_index: int, where: str, request: DeployRequest) -> Iterator[Finding]:
    """Addresses, where each zone is a cluster of its own, and the network devices of the zone that is started."""
    if request.zone is None:
        return
    group, place = zone.node_groups[group_index], f"{where}.nodes[{group_index}]"
    if not group.addresses:
        yield no_addresses("a zone in a cluster of its own", place)
    if not group.interface and zone.name == request.zone:
        yield _finding(
            f"{place}.interface",
            "zones in clusters of their own need the network device that leads from one to another.",
            "Write interface: NAME, as eth0.",
        )


def missing(launch: Launch) -> Iterator[Finding]:
    """Volumes of its paths; labels that zones can have."""
    yield from _paths(launch)
    zones = {agent.zone_index: agent.zone for agent in launch.agents}
    for index, name in sorted(zones.items()):
        if spans_zones(launch) and not LABEL.fullmatch(name):
            yield _finding(
                f"cluster.zones[{index}].name",
                f"nodes are found by {ZONE_LABEL}, but the zone's name is no value of a label.",
                "Name the zone as its nodes are labelled: letters, digits, -, _ and ., at most 63.",
            )


def addressed(launch: Launch) -> Launch:
    """Agents under the names of their pods, with the GPUs that those see."""
    own = launch.only_zone is not None
    addresses = [agent.address for agent in launch.agents] if own else pod_addresses(launch)
    agents = tuple(
        dataclasses.replace(
            agent,
            address=address,
            interface=agent.interface if own else POD_INTERFACE,
            gpus=tuple(range(agent.num_ranks)),
            has_whole_node=True,
        )
        for agent, address in zip(launch.agents, addresses, strict=True)
    )
    return dataclasses.replace(launch, agents=agents)


def render(launch: Launch) -> dict[str, str]:
    """The objects, the program of every pod, and those that create, follow and remove them."""
    return {
        **{f"kubernetes/{name}": yaml_text(value) for name, value in objects(launch).items()},
        **{agent_path(agent): agent_text(launch, agent) for agent in launch.started},
        **({} if launch.only_zone is None else {NODE_PATH: THIS_NODE}),
        POD_PATH: pod_text(launch),
        CLUSTER_PATH: cluster_text(launch),
        RUN_PATH: run_text(launch),
        STOP_PATH: stop_text(launch),
    }


def _paths(launch: Launch) -> Iterator[Finding]:
    hint = "Write /claims/NAME/...: the PersistentVolumeClaim NAME is mounted there, in every pod."
    named = (("--data", launch.data_path), ("--checkpoints", launch.checkpoint_folder))
    for where, path in named:
        if path not in (None, NO_CHECKPOINTS) and not CLAIM.fullmatch(str(path)):
            yield _finding(where, "pods see no folder of their nodes, and the path names no volume.", hint)
    is_ours = launch.argv[0] != ENTRY_PATH
    if launch.num_nodes == 1 and launch.checkpoint_folder is None and is_ours:
        yield _finding("--checkpoints", "what a pod saves in itself is gone with it.", f"{hint} Or give none.")


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="missing", where=where, message=message, hint=hint)
