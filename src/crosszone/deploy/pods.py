"""A launch as Kubernetes objects: a TrainJob with its runtime, or a JobSet; dicts as the API has them.

Sources: kubeflow/trainer v2.3.0 (manifests/base/runtimes/torch_distributed.yaml, pkg/runtime/framework/plugins/torch,
pkg/webhooks), kubernetes-sigs/jobset v0.12.0 (api/jobset/v1alpha2/jobset_types.go, pkg/webhooks), Kubernetes
documentation, Indexed Jobs.
"""

from __future__ import annotations

import re
from typing import Any

from crosszone.core.bundle import NO_CHECKPOINTS, Launch
from crosszone.deploy.container import base_image
from crosszone.deploy.gpu_names import kubernetes_products
from crosszone.deploy.parts import Part, job_name, parts

TRAIN_JOB, JOB_SET = "trainjob", "jobset"
NODE = "node"
"""What Kubeflow Trainer calls the job and the container that train."""
ZONE_LABEL = "topology.kubernetes.io/zone"
PRODUCT_LABEL, GPU_RESOURCE = "nvidia.com/gpu.product", "nvidia.com/gpu"
CLAIM = re.compile(r"/claims/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)/.+")
"""A path on a PersistentVolumeClaim: its name is a DNS label (RFC 1123)."""
FILES_FOLDER, BUNDLE_FOLDER = "/crosszone", "/bundle"
ARCHIVE = "bundle.tgz"
RESTARTS = 3
"""Of the whole job where it has checkpoints to go on from. Chosen."""
END_SECONDS = 30
"""Kubernetes' own time for a pod that is removed, here what is left after ranks had theirs to save."""
HOPELESS_CODE = 2
"""Of a pod whose ranks would fail at every start; torchrun ends with 1 where a rank fails."""
UNPACK = (
    f"set -euo pipefail; mkdir -p {BUNDLE_FOLDER}; "
    f"python3 -m tarfile --extract {FILES_FOLDER}/{ARCHIVE} {BUNDLE_FOLDER}; "
    f'exec bash {BUNDLE_FOLDER}/launch/pod.sh "$@"'
)


def kind_of(launch: Launch) -> str:
    """A TrainJob has nodes of one kind in one cluster; what is uneven, or a zone's piece of more, is a JobSet."""
    is_even = launch.only_zone is None and len(parts(launch, launch.agents)) == 1
    return TRAIN_JOB if is_even else JOB_SET


def spans_zones(launch: Launch) -> bool:
    """Whether one cluster holds several zones of the job."""
    return launch.only_zone is None and len({agent.zone_index for agent in launch.agents}) > 1


def part_name(launch: Launch, part: Part) -> str:
    """The replicated job that starts a part."""
    return NODE if kind_of(launch) == TRAIN_JOB else f"part-{part.index}"


def end_seconds(launch: Launch) -> int:
    """The time of a pod from being asked to end to being forced to."""
    return launch.timeouts.grace_seconds + END_SECONDS


def pod_addresses(launch: Launch) -> tuple[str, ...]:
    """DNS name of every agent's pod: JOBSET-JOB-REPLICA-INDEX.JOBSET, in the namespace of the job."""
    name = job_name(launch)
    return tuple(
        f"{name}-{part_name(launch, part)}-0-{index}.{name}"
        for part in parts(launch, launch.agents)
        for index in range(len(part.agents))
    )


def claims(launch: Launch) -> tuple[str, ...]:
    """PersistentVolumeClaims that the job's paths are on, sorted."""
    paths = (launch.data_path, launch.checkpoint_folder)
    found = (CLAIM.fullmatch(path) for path in paths if path is not None)
    return tuple(sorted({match[1] for match in found if match is not None}))


def objects(launch: Launch) -> dict[str, Any]:
    """What is given to the cluster, by file name, in the order in which it is."""
    name = job_name(launch)
    if kind_of(launch) == TRAIN_JOB:
        return {"1-runtime.yaml": _runtime(launch, name), "2-train-job.yaml": _train_job(launch, name)}
    return {"1-job-set.yaml": _job_set(launch, name)}


def _runtime(launch: Launch, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": name, "labels": {**_labels(name), "trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": len(launch.agents), "torch": {}},
            "template": {"spec": _job_set_spec(launch, name)},
        },
    }


def _train_job(launch: Launch, name: str) -> dict[str, Any]:
    (part,) = parts(launch, launch.agents)
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "labels": _labels(name)},
        "spec": {
            "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": name},
            "trainer": {
                "numNodes": len(part.agents),
                "numProcPerNode": part.num_ranks,
                **({"resourcesPerNode": _resources(part)} if launch.device == "cuda" else {}),
            },
        },
    }


def _job_set(launch: Launch, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "labels": _labels(name)},
        "spec": {
            # Pods find each other by name before they are ready: torchrun waits for the first one.
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            **_job_set_spec(launch, name),
        },
    }


def _job_set_spec(launch: Launch, name: str) -> dict[str, Any]:
    """As far as JobSet and TrainingRuntime share it."""
    has_checkpoints = launch.checkpoint_folder not in (None, NO_CHECKPOINTS)
    hopeless = {"name": "hopeless", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    return {
        **({"failurePolicy": {"maxRestarts": RESTARTS, "rules": [hopeless]}} if has_checkpoints else {}),
        "replicatedJobs": [_replicated_job(launch, part, name) for part in parts(launch, launch.started)],
    }


def _replicated_job(launch: Launch, part: Part, name: str) -> dict[str, Any]:
    is_trainer = kind_of(launch) == TRAIN_JOB
    step = {"metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}} if is_trainer else {}
    return {
        "name": part_name(launch, part),
        "replicas": 1,
        "template": {
            **step,
            "spec": {
                "completionMode": "Indexed",
                "parallelism": len(part.agents),
                "completions": len(part.agents),
                # One failed pod fails the job: its ranks cannot rejoin those that run (static rendezvous).
                "backoffLimit": 0,
                "podFailurePolicy": {"rules": [_fails_at_every_start()]},
                "template": {"metadata": {"labels": _labels(name)}, "spec": _pod_spec(launch, part, name)},
            },
        },
    }


def _fails_at_every_start() -> dict[str, Any]:
    codes = {"containerName": NODE, "operator": "In", "values": [HOPELESS_CODE]}
    return {"action": "FailJob", "onExitCodes": codes}


def _pod_spec(launch: Launch, part: Part, name: str) -> dict[str, Any]:
    volumes, mounts = _volumes(launch, name)
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": end_seconds(launch),
        **({"nodeSelector": {ZONE_LABEL: part.zone.name}} if spans_zones(launch) else {}),
        **_host_network(launch),
        **_placement(launch, part, name),
        "containers": [
            {
                "name": NODE,
                "image": part.group.image or base_image(launch),
                "command": ["bash", "-c", UNPACK, "pod", *_pod_arguments(launch, part)],
                **({"resources": _resources(part)} if launch.device == "cuda" else {}),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _pod_arguments(launch: Launch, part: Part) -> list[str]:
    """The first agent of the part; in the nodes' own network also their addresses, by which a pod knows its place."""
    known = [] if launch.only_zone is None else [str(agent.address) for agent in part.agents]
    return [str(part.agents[0].index), *known]


def _host_network(launch: Launch) -> dict[str, Any]:
    """Pods of two clusters reach each other through their nodes."""
    return {} if launch.only_zone is None else {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}


def _placement(launch: Launch, part: Part, name: str) -> dict[str, Any]:
    """On nodes with the part's GPUs, each pod on one of its own."""
    if launch.device != "cuda":
        return {}
    products = list(kubernetes_products(part.group.gpu))
    terms = [{"matchExpressions": [{"key": PRODUCT_LABEL, "operator": "In", "values": products}]}]
    apart = {"labelSelector": {"matchLabels": _labels(name)}, "topologyKey": "kubernetes.io/hostname"}
    when = "requiredDuringSchedulingIgnoredDuringExecution"
    return {
        "affinity": {"nodeAffinity": {when: {"nodeSelectorTerms": terms}}, "podAntiAffinity": {when: [apart]}},
        "tolerations": [{"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
    }


def _resources(part: Part) -> dict[str, Any]:
    return {"limits": {GPU_RESOURCE: part.num_ranks}}


def _volumes(launch: Launch, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = [
        {"name": "files", "configMap": {"name": name}},
        {"name": "bundle", "emptyDir": {}},
        # NCCL and data loaders share memory; a container has 64 MiB of it otherwise.
        {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "files", "mountPath": FILES_FOLDER, "readOnly": True},
        {"name": "bundle", "mountPath": BUNDLE_FOLDER},
        {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108  # a mount of its own
    ]
    for index, claim in enumerate(claims(launch)):
        volumes.append({"name": f"claim-{index}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"claim-{index}", "mountPath": f"/claims/{claim}"})
    return volumes, mounts


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "crosszone", "app.kubernetes.io/instance": name}
