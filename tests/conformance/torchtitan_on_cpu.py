"""torchtitan's trainer on CPUs over Gloo, for tests: `torchrun torchtitan_on_cpu.py ARGUMENTS`, as for its own module.

torchtitan 0.2.2 asks for a GPU in a few places; what it asks is answered here for the CPU. Nothing of how it splits,
trains or counts is touched, but that Gloo sums where NCCL scales and sums (PREMUL_SUM).
"""

import importlib.util
import sys
import types
from typing import Any


def without_triton() -> None:
    """Let torchtitan be imported where there is no Triton, as beside CPU builds of torch: its kernels for experts
    alone import it, and no test runs them.
    """
    if importlib.util.find_spec("triton") is None:
        kernels = types.ModuleType("torchtitan.models.moe.kernels")
        kernels.generate_permute_indices = None  # type: ignore[attr-defined]
        sys.modules.setdefault(kernels.__name__, kernels)


class _Properties:
    name, total_memory, multi_processor_count = "cpu", 1 << 34, 1


def _answer_for_cpu() -> None:
    import torch
    from torch import distributed
    from torch.distributed.fsdp import FSDPModule

    torch._utils._get_available_device_type = lambda: "cpu"
    memory = ("active_bytes.all.peak", "reserved_bytes.all.peak", "num_alloc_retries", "num_ooms")
    answers = {
        "get_device_name": lambda *of: "cpu",
        "get_device_properties": lambda *of: _Properties,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda *of: None,
        "memory_stats": lambda *of: dict.fromkeys(memory, 0),
    }
    for name, answer in answers.items():
        if not hasattr(torch.cpu, name):
            setattr(torch.cpu, name, answer)
    divide, wait = FSDPModule.set_gradient_divide_factor, distributed.barrier

    def divide_after(self: Any, factor: float) -> None:
        self.set_force_sum_reduction_for_comms(True)
        divide(self, factor)

    FSDPModule.set_gradient_divide_factor = divide_after  # type: ignore[method-assign]
    distributed.barrier = lambda *of, device_ids=None, **more: wait(*of, **more)  # type: ignore[assignment]


if __name__ == "__main__":
    _answer_for_cpu()
    without_triton()
    from torchtitan.train import Trainer, main

    main(Trainer)
