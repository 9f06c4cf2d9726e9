"""Nodes of a Kubernetes cluster as environments: what `kubectl get nodes -o json` prints.

Read for this: the Node object of Kubernetes' API (v1), its well-known labels and quantities, and the labels of NVIDIA's
GPU feature discovery (github.com/NVIDIA/k8s-device-plugin, docs/gpu-feature-discovery).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from crosszone import units
from crosszone.errors import Finding, SpecError

GET_NODES = ("kubectl", "get", "nodes", "--output=json")
"""What is asked of Kubernetes."""
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")
PRODUCT_LABEL = "nvidia.com/gpu.product"
SHARED_SUFFIX = "-SHARED"
"""Of a product that several containers share by turns."""
VERSION_LABELS = {"driver": "nvidia.com/cuda.driver-version.full", "cuda": "nvidia.com/cuda.runtime-version.full"}
SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""Of nodes that their owner may take back."""
ADDRESS_TYPES = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")
"""Best first."""
STATUSES = {"True": "running", "False": "stopped", "Unknown": "unreachable"}
"""By the condition Ready; Unknown: its kubelet has not been heard of for a while."""
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)(m|k|[KMGTPE]i?)?")
_FACTORS = {
    "": 1.0,
    "m": 1e-3,
    "k": 1e3,
    **{letter: 1e3**power for power, letter in enumerate("KMGTPE", start=1)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)},
}

Entry = dict[str, Any]


def kubernetes_entries(text: str) -> list[tuple[str, Entry]]:
    """(place, entry) of every node. SpecError where the text is no list of nodes."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    nodes = value.get("items") if isinstance(value, dict) else None
    if not isinstance(nodes, list):
        hint = f"Send what this prints: {' '.join(GET_NODES)}."
        raise SpecError.of("it is no list of nodes in JSON.", where="kubernetes", hint=hint)
    places = [f"items[{index}]" for index in range(len(nodes))]
    wrong = [
        Finding(code="invalid", message="it is no Node with a name.", where=place)
        for place, node in zip(places, nodes, strict=True)
        if not isinstance(_at(node, "metadata", "name"), str)
    ]
    if wrong:
        raise SpecError(*wrong)
    return [(place, _entry(node)) for place, node in zip(places, nodes, strict=True)]


def _entry(node: Mapping[str, Any]) -> Entry:
    labels, capacity = _mapping(node, "metadata", "labels"), _mapping(node, "status", "capacity")
    addresses = _addresses(node)
    entry: Entry = {
        "name": node["metadata"]["name"],
        "kind": "kubernetes",
        "status": STATUSES.get(_ready(node), "unknown"),
        "draining": _at(node, "spec", "unschedulable") is True,
        "preemptible": any(str(labels.get(label)) == value for label, value in SPOT_LABELS.items()),
    }
    zone = next((labels[label] for label in ZONE_LABELS if label in labels), None)
    cpus, memory_bytes = _quantity(capacity.get("cpu")), _quantity(capacity.get("memory"))
    found = {
        "zone": zone,
        "addresses": addresses or None,
        "cpus": None if cpus is None else int(cpus),
        "memory": None if memory_bytes is None else units.format_bytes(memory_bytes, digits=15),
        **{key: labels.get(label) for key, label in VERSION_LABELS.items()},
        **_gpus(labels, capacity),
    }
    return {**entry, **{key: value for key, value in found.items() if value is not None}}


def _gpus(labels: Mapping[str, Any], capacity: Mapping[str, Any]) -> Entry:
    counts = [_quantity(capacity.get(name)) for name in GPU_RESOURCES]
    number = next((int(count) for count in counts if count), 0)
    product = labels.get(PRODUCT_LABEL)
    if not number or not isinstance(product, str):
        return {"gpus": number} if number else {}
    return {"gpus": number, "gpu": product.removesuffix(SHARED_SUFFIX).removeprefix("NVIDIA-").replace("_", "-")}


def _addresses(node: Mapping[str, Any]) -> list[str]:
    pairs = [(_at(each, "type"), _at(each, "address")) for each in _list(node, "status", "addresses")]
    known = [(kind, address) for kind, address in pairs if kind in ADDRESS_TYPES and isinstance(address, str)]
    return list(dict.fromkeys(address for _, address in sorted(known, key=lambda pair: ADDRESS_TYPES.index(pair[0]))))


def _ready(node: Mapping[str, Any]) -> str:
    conditions = _list(node, "status", "conditions")
    return next((str(each.get("status")) for each in conditions if _at(each, "type") == "Ready"), "")


def _quantity(written: Any) -> float | None:
    """A quantity of Kubernetes, as "64", "500m", "528Gi", in its base unit; None where it is none."""
    match = _QUANTITY.fullmatch(str(written)) if written is not None else None
    try:
        number = math.nan if match is None else float(match[1]) * _FACTORS[match[2] or ""]
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    found = _at(value, *keys)
    return found if isinstance(found, dict) else {}


def _list(value: Any, *keys: str) -> list[Any]:
    found = _at(value, *keys)
    return found if isinstance(found, list) else []


def _at(value: Any, *keys: str) -> Any:
    """What is under `keys`, one in the other; None where that leads nowhere."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
