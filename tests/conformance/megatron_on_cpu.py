"""What Megatron-LM makes of command lines, without GPUs: `python megatron_on_cpu.py WHEEL_FOLDER < cases > answers`.

A case is {"world_size", "argv", "environment", "is_built"}; an answer tells what Megatron's own code computed from it,
or its refusal as {"error"}. Megatron 0.19 is made for Python 3.12, GPUs, Triton and Transformer Engine; what is asked
of them before a step runs is answered here. Nothing of its arguments, configurations, groups or models is touched.
"""

import contextlib
import io
import json
import os
import sys
import typing
import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

LAYER = "decoder"
GPUS_PER_NODE = 8
HOPPER = (9, 0)


def _stand_in(wheel_folder: str) -> None:
    """Let Megatron be imported here: from its wheel, with the newest names, without kernels."""
    import torch
    import typing_extensions

    sys.path.insert(0, wheel_folder)
    typing.override = typing_extensions.override  # type: ignore[attr-defined]
    sys.modules["megatron.core.transformer.moe.ops.paged_stash"] = MagicMock()  # Triton kernels
    torch.cuda.device_count = lambda: GPUS_PER_NODE
    torch.cuda.set_device = lambda device: None
    torch.cuda.current_device = lambda: "meta"
    torch.cuda.Stream = MagicMock()
    torch.cuda.get_device_capability = lambda device=None: HOPPER
    from megatron.core.models.common.embeddings import rope_utils
    from megatron.core.transformer import dot_product_attention
    from megatron.training import arguments

    arguments.get_device_arch_version = lambda: HOPPER[0]
    rope_utils.fused_apply_rotary_pos_emb = MagicMock()  # Transformer Engine's
    _allow_latent_attention(dot_product_attention.DotProductAttention)


def _allow_latent_attention(attention: Any) -> None:
    """Megatron's own core attention, which holds no parameters but sinks, takes no sizes of latent heads."""
    made = attention.__init__

    def make(self: Any, *values: Any, k_channels: Any = None, v_channels: Any = None, **named: Any) -> None:
        made(self, *values, **named)

    attention.__init__ = make


def _answer(case: dict[str, Any]) -> dict[str, Any]:
    from megatron.core import num_microbatches_calculator as calculator
    from megatron.core.tokenizers.utils.build_tokenizer import build_tokenizer
    from megatron.training import training
    from megatron.training.argument_utils import core_transformer_config_from_args
    from megatron.training.arguments import parse_args, validate_args

    os.environ.update({"WORLD_SIZE": str(case["world_size"]), "RANK": "0", "LOCAL_RANK": "0"})
    os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
    os.environ.update(case["environment"])
    sys.argv = ["pretrain_gpt.py", *case["argv"]]
    args = validate_args(parse_args(), {"tokenizer_type": "GPT2BPETokenizer"})
    build_tokenizer(args)
    config = core_transformer_config_from_args(args)
    training.get_megatron_optimizer_config(args)
    ddp = training.get_megatron_ddp_config(args)
    calculator.destroy_num_microbatches_calculator()
    calculator.init_num_microbatches_calculator(
        0, None, args.global_batch_size, args.micro_batch_size, args.data_parallel_size
    )
    num_microbatches, layout = calculator.get_num_microbatches(), config.pipeline_model_parallel_layout
    with _started(args) as generators:
        groups = [{axis: each.get_ranks(axis) for axis in ("tp", "cp", "ep", "dp", "pp")} for each in generators]
        num_parameters = _num_parameters(args, config) if case["is_built"] else None
    return {
        "dp": args.data_parallel_size,
        "num_microbatches": num_microbatches,
        "padded_vocab_size": args.padded_vocab_size,
        "num_virtual_stages": config.virtual_pipeline_model_parallel_size or 1,
        "layers": layout and [[[kind.name for kind in part].count(LAYER) for part in rank] for rank in layout.layout],
        "receives_early": config.overlap_p2p_comm,
        "bucket_elements": ddp.bucket_size,
        "sums_in_fp32": ddp.grad_reduce_in_fp32,
        "saves_at": args.exit_signal.name if args.exit_signal_handler and args.save else None,
        "groups": groups,
        "num_parameters": num_parameters,
    }


@contextlib.contextmanager
def _started(args: Any) -> Iterator[list[Any]]:
    """Megatron's groups as it makes them from these arguments at its start; what made them: of layers, of experts."""
    import torch
    from megatron.core import parallel_state
    from megatron.training import initialize
    from megatron.training.global_vars import set_args, unset_global_variables

    made: list[Any] = []
    real = parallel_state.RankGenerator

    class Recorded(real):  # type: ignore[misc, valid-type]
        def __init__(self, *values: Any, **named: Any) -> None:
            super().__init__(*values, **named)
            made.append(self)

    args.fake_process_group, args.use_gloo_process_groups, args.local_rank = True, False, 0
    parallel_state.RankGenerator = Recorded
    set_args(args)
    try:
        initialize._initialize_distributed(None, None, None)
        yield made
    finally:
        parallel_state.RankGenerator = real
        unset_global_variables()
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()


def _num_parameters(args: Any, config: Any) -> int:
    """Of the whole model on one GPU, made of Megatron's own layers in place of Transformer Engine's."""
    import torch
    from megatron.core.models.gpt import GPTModel
    from megatron.training.argument_utils import gpt_config_from_args
    from megatron.training.models.gpt import default_layer_spec

    config.transformer_impl, config.use_cpu_initialization, config.perform_initialization = "local", True, False
    config.persist_layer_norm = config.moe_grouped_gemm = False
    with torch.device("meta"):
        model = GPTModel(
            config=config,
            transformer_layer_spec=default_layer_spec(gpt_config_from_args(args, config), None),
            vocab_size=args.padded_vocab_size,
            max_sequence_length=args.max_position_embeddings,
            share_embeddings_and_output_weights=not args.untie_embeddings_and_output_weights,
            position_embedding_type=args.position_embedding_type,
        )
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    """Answer the cases of standard input."""
    warnings.simplefilter("ignore")
    cases, answers = json.load(sys.stdin), []
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        _stand_in(sys.argv[1])
        for case in cases:
            said.truncate(said.seek(0))
            try:
                answers.append(_answer(case))
            except SystemExit:
                answers.append({"error": said.getvalue().strip().splitlines()[-1]})
            except Exception as error:  # noqa: BLE001 - whatever Megatron refuses with is the answer
                answers.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
