"""What `ds_config.json` may say: the checks that DeepSpeed does not make itself, or makes only once ranks have met.

Read in DeepSpeed 0.19.8, runtime/config.py: `DeepSpeedConfig` takes the top-level keys that it knows out of the file
and never looks at the others, so that "zero_optimisation" trains without ZeRO. It counts ranks by the process group,
and takes one where there is none. "auto" is a word of Hugging Face's integration; DeepSpeed compares it with numbers.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from crosszone.errors import Finding, nearest_hint

CONFIG_NAME = "ds_config.json"
BATCH_KEYS = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
TOP_LEVEL_KEYS = frozenset(BATCH_KEYS) | frozenset(
    (
        "activation_checkpointing aio autotuning bf16 bfloat16 checkpoint comet comms_logger communication_data_type "
        "compile csv_monitor data_efficiency data_types dataloader_drop_last datastates_ckpt disable_allgather "
        "disable_python_gc dump_state expert_parallel flops_profiler fp16 gradient_allreduce_op gradient_clipping "
        "gradient_predivide_factor hybrid_engine log_level managed_gradient_accumulation memory_breakdown optimizer "
        "pipeline prescale_gradients scheduler seq_parallel_communication_data_type sequence_parallel_size "
        "steps_per_print tensor_parallel tensorboard timers torch_autocast use_data_before_expert_parallelism "
        "vocabulary_size wall_clock_breakdown wandb weight_quantization zero_allow_untested_optimizer "
        "zero_force_ds_cpu_optimizer zero_optimization"
    ).split()
)
"""All that 0.19.8 reads; a test watches it read. Keys whose feature was removed are not among them."""


def config_problems(keys: Mapping[str, Any], *, num_replicas: int) -> Iterator[Finding]:
    """Everything wrong in `ds_config.json` that a run on so many data-parallel ranks would not be told."""
    yield from key_problems(keys)
    yield from batch_problems(keys, num_replicas=num_replicas)


def key_problems(keys: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys that DeepSpeed passes over, and what is left for somebody else to resolve."""
    for key in keys:
        if key not in TOP_LEVEL_KEYS:
            message = f'DeepSpeed has no key "{key}" and would pass over it.'
            yield _finding("unknown_key", key, message, nearest_hint(key, TOP_LEVEL_KEYS))
    for path in _auto(keys):
        if path not in BATCH_KEYS:
            yield _finding("auto", path, '"auto" is resolved by nobody here.', "Write the value.")


def batch_problems(keys: Mapping[str, Any], *, num_replicas: int) -> Iterator[Finding]:
    """Whether global batch = microbatch size x accumulation x data-parallel ranks, all of them numbers."""
    numbers = []
    for key in BATCH_KEYS:
        value = keys.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            numbers.append(value)
        else:
            yield _finding("wrong_batch", key, f"{json.dumps(value)} is no number above 0.", "Write all three.")
    if len(numbers) == len(BATCH_KEYS) and numbers[0] != numbers[1] * numbers[2] * num_replicas:
        yield _finding(
            "batch_identity",
            BATCH_KEYS[0],
            f"{numbers[0]} is not {' x '.join(BATCH_KEYS[1:])} x data-parallel ranks = {numbers[1]} x {numbers[2]} x "
            f"{num_replicas}.",
            "Make the two equal.",
        )


def _auto(value: Any, path: str = "") -> Iterator[str]:
    """Where "auto" stands."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _auto(inner, f"{path}.{key}".lstrip("."))
    elif value == "auto":
        yield path


def _finding(code: str, path: str, message: str, hint: str) -> Finding:
    return Finding(code=code, where=f"{CONFIG_NAME}: {path}", message=message, hint=hint)
