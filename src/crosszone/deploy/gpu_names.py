"""What others call the GPUs of our catalog: Kubernetes nodes on their labels, SkyPilot in its catalogue."""

from crosszone.core.cluster import Gpu

KUBERNETES_PRODUCTS: dict[str, tuple[str, ...]] = {
    "a100-pcie-40gb": ("NVIDIA-A100-PCIE-40GB",),
    "a100-pcie-80gb": ("NVIDIA-A100-80GB-PCIe",),
    "a100-sxm4-40gb": ("NVIDIA-A100-SXM4-40GB",),
    "a100-sxm4-80gb": ("NVIDIA-A100-SXM4-80GB",),
    "a800-sxm4-80gb": ("NVIDIA-A800-SXM4-80GB",),
    "b200-sxm-180gb": ("NVIDIA-B200",),
    "b300-sxm-288gb": ("NVIDIA-B300-SXM6-AC",),
    "gb200-nvl72": ("NVIDIA-GB200",),
    "gb300-nvl72": ("NVIDIA-GB300",),
    "gh200-144gb": ("NVIDIA-GH200-144G-HBM3e",),
    "gh200-96gb": ("NVIDIA-GH200-120GB", "NVIDIA-GH200-480GB"),
    "h100-pcie-80gb": ("NVIDIA-H100-PCIe",),
    "h100-sxm5-80gb": ("NVIDIA-H100-80GB-HBM3",),
    "h20-sxm5-96gb": ("NVIDIA-H20",),
    "h200-sxm-141gb": ("NVIDIA-H200",),
    "h800-sxm5-80gb": ("NVIDIA-H800",),
    "l4-24gb": ("NVIDIA-L4",),
    "l40s-48gb": ("NVIDIA-L40S",),
    "rtx-2080-ti-11gb": ("NVIDIA-GeForce-RTX-2080-Ti",),
    "rtx-3060-12gb": ("NVIDIA-GeForce-RTX-3060",),
    "rtx-3090-24gb": ("NVIDIA-GeForce-RTX-3090",),
    "rtx-4090-24gb": ("NVIDIA-GeForce-RTX-4090",),
    "rtx-a6000-48gb": ("NVIDIA-RTX-A6000",),
    "t4-16gb": ("Tesla-T4",),
    "titan-rtx-24gb": ("NVIDIA-TITAN-RTX",),
    "v100-sxm2-16gb": ("Tesla-V100-SXM2-16GB",),
    "v100-sxm2-32gb": ("Tesla-V100-SXM2-32GB",),
    "v100-sxm3-32gb": ("Tesla-V100-SXM3-32GB",),
}
"""Values of the label nvidia.com/gpu.product: the driver's name of the product, its spaces as dashes (NVIDIA,
k8s-device-plugin, internal/lm/resource.go, which the GPU operator runs). Names from Turing on: the table of supported
GPUs of NVIDIA/open-gpu-kernel-modules 595.45.04, README.md; a GH200 of 96 GB is called by the memory of its CPU. V100:
as CUDA names them, "Tesla V100-SXM2-16GB". Read on 2026-11-21. A GPU that shares time has "-SHARED" behind its name
and is left alone."""

SKYPILOT_ACCELERATORS: dict[str, dict[str, str]] = {
    "a100-pcie-80gb": {"paperspace": "A100-80GB", "runpod": "A100-80GB"},
    "a100-sxm4-40gb": {"": "A100"},
    "a100-sxm4-80gb": {"": "A100-80GB", "runpod": "A100-80GB-SXM"},
    "b200-sxm-180gb": {"": "B200"},
    "gh200-96gb": {"": "GH200"},
    "h100-pcie-80gb": {"runpod": "H100"},
    "h100-sxm5-80gb": {"": "H100", "runpod": "H100-SXM"},
    "h200-sxm-141gb": {"": "H200", "runpod": "H200-SXM"},
    "l4-24gb": {"": "L4"},
    "l40s-48gb": {"": "L40S"},
    "rtx-3060-12gb": {"": "RTX3060"},
    "rtx-3090-24gb": {"": "RTX3090"},
    "rtx-4090-24gb": {"": "RTX4090"},
    "rtx-a6000-48gb": {"": "RTXA6000", "lambda": "A6000"},
    "t4-16gb": {"": "T4"},
    "v100-sxm2-16gb": {"": "V100"},
    "v100-sxm2-32gb": {"": "V100-32GB"},
}
"""SkyPilot's name by provider, "" for those that are not named: skypilot-org/skypilot-catalog,
catalogs/v8/common/accelerators.csv (v8 is what SkyPilot 0.14.1 reads), commit 001ca549, read on 2026-11-21. The list
gives a name and who sells it, not the form: A100 and H100 without more are the SXM boards of AWS, GCP and Azure's ND
series; RunPod tells the forms apart."""


def kubernetes_products(gpu: Gpu) -> tuple[str, ...]:
    """Labels that nodes with `gpu` may have; empty where none is known."""
    return KUBERNETES_PRODUCTS.get(gpu.name, ())


def skypilot_accelerator(gpu: Gpu, provider: str) -> str | None:
    """SkyPilot's name of `gpu` as `provider` sells it; None where none is known."""
    names = SKYPILOT_ACCELERATORS.get(gpu.name, {})
    return names.get(provider, names.get(""))
