"""Megatron-LM's own program, pretrain_gpt.py, told the plan by its arguments.

That program is in Megatron-LM's repository, not in the wheel of megatron-core, so that a program of the bundle brings
the whole repository at one commit, `core_v0.19.0`: the code of the wheel 0.19.0, byte for byte. Ranks find it by
PYTHONPATH, in the bundle's `src` or in the image.

Read in that commit: training/initialize.py compiles an index builder at the start, on rank 0 (make, g++, pybind11);
core/transformer/moe/ops imports triton, which comes with torch; layers are Transformer Engine's, whose version is in
uv.lock and which is part of the image that docker/.ngc_version.dev names; pyproject.toml asks for Python 3.12.
"""

from collections.abc import Iterator

from crosszone.core.bundle import NO_CHECKPOINTS, DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.deploy.megatron_arguments import megatron_arguments
from crosszone.deploy.megatron_limits import megatron_problems, used_gpus
from crosszone.deploy.megatron_model import BALANCE_COEFFICIENT, padded_vocab_size
from crosszone.deploy.scripts import STRICT, script
from crosszone.errors import InfeasiblePlan

REQUIREMENTS = ("torch>=2.6.0", "numpy>=1.26", "packaging>=24.2", "pybind11>=2.13")
PACKAGES = ("git", "make", "g++")
MODULE = "pretrain_gpt"
REPOSITORY = "https://github.com/NVIDIA/Megatron-LM.git"
TAG, COMMIT = "core_v0.19.0", "5be9626709af2722333bf54797c954c09edeada3"
IMAGE = "nvcr.io/nvidia/pytorch:26.06-py3"
"""Of NVIDIA, with Python 3.12, torch, NCCL and Transformer Engine: the one that this release was tested in."""
TRANSFORMER_ENGINE = "transformer-engine[core_cu13,pytorch]==2.17.1"
SETUP_PATH = "install_megatron.sh"
SETUP_LINES = (
    f"# Brings Megatron-LM {TAG} into the folder $1 (src in this one), and Transformer Engine where it is not there.",
    *STRICT,
    'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
    'folder="${1:-src}"',
    'python="${PYTHON:-python3}"',
    "if ! \"$python\" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then",
    '    echo "error: Megatron-LM needs Python 3.12 or newer; PYTHON=/path/to/python names one." >&2',
    "    exit 4",
    "fi",
    'if [ ! -e "$folder/.git" ]; then git init --quiet "$folder"; fi',
    f'git -C "$folder" fetch --quiet --depth 1 {REPOSITORY} {COMMIT}',
    'git -C "$folder" checkout --quiet --force FETCH_HEAD',
    "# Rank 0 would compile it at every start; $python's own headers are what counts.",
    'PATH="$(dirname -- "$(command -v "$python")"):$PATH" make -C "$folder/megatron/core/datasets"',
    "if ! \"$python\" -c 'import transformer_engine.pytorch' 2>/dev/null; then",
    f"    \"$python\" -m pip install --no-build-isolation '{TRANSFORMER_ENGINE}'",
    "fi",
)
SINGLE_QUEUE_GENERATIONS = ("Volta", "Turing", "Ampere", "Ada", "Hopper")
"""GPUs before Blackwell."""


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs. Errors: InfeasiblePlan for what Megatron-LM cannot train, SpecError."""
    if request.entry_text is not None:
        return _program((), environment=tuple(_environment(problem, plan)))
    findings = tuple(megatron_problems(problem, plan, request))
    if findings:
        raise InfeasiblePlan(*findings)
    return _program(
        megatron_arguments(problem, plan, prediction, request),
        environment=tuple(_environment(problem, plan)),
        assumed=tuple(_assumed(problem, plan)),
        warnings=tuple(_warnings(problem, plan, request)),
    )


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """The program that brings Megatron-LM; all else is in the arguments."""
    return {SETUP_PATH: script(*SETUP_LINES)}


def _program(
    arguments: tuple[str, ...],
    *,
    environment: tuple[tuple[str, str], ...],
    assumed: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> Program:
    return Program(
        argv=("-m", MODULE, *arguments),
        environment=environment,
        has_our_trainer=False,
        saves_when_stopped=True,
        packages=PACKAGES,
        image=IMAGE,
        setup=(SETUP_PATH,),
        assumed=assumed,
        warnings=warnings,
    )


def _environment(problem: Problem, plan: Plan) -> Iterator[tuple[str, str]]:
    """Variables that Megatron's arguments rest on.

    One hardware queue keeps a collective that was issued before a GEMM in front of it, so that tensor and context
    parallelism overlap; training/arguments.py refuses anything else before Blackwell.
    """
    older = any(gpu.generation in SINGLE_QUEUE_GENERATIONS for gpu in used_gpus(problem, plan))
    if older and (plan.tp > 1 or plan.cp > 1):
        yield "CUDA_DEVICE_MAX_CONNECTIONS", "1"
    if problem.workload.dtypes.compute == "fp32":
        # Transformer Engine multiplies fp32 in tf32 unless it is forbidden (common/gemm/cublaslt_gemm.cu).
        yield "NVIDIA_TF32_OVERRIDE", "0"


def _assumed(problem: Problem, plan: Plan) -> Iterator[str]:
    model = problem.model
    gate = "SwiGLU" if model.gated_ffn else "GELU"
    yield f"The FFN's activation is {gate}, dropout is 0: the job file names neither."
    if model.position == "rope":
        yield f"Positions are rotated over {_rotated(problem)}."
    rows = padded_vocab_size(model, plan.tp)
    if rows > model.vocab_size:
        yield f"Megatron-LM widens the vocabulary from {model.vocab_size} to {rows} rows, which tp={plan.tp} divides."
    if model.num_experts:
        yield f"Experts are balanced by an auxiliary loss of {BALANCE_COEFFICIENT:g} (Fedus et al. 2022)."
    if problem.workload.dtypes.compute == "fp8":
        yield "fp8 is scaled with delay, as Transformer Engine does by default; weights are kept in bf16."
    yield f"Python 3.12 and Transformer Engine come with the image; {SETUP_PATH} checks the first, installs the second."


def _rotated(problem: Problem) -> str:
    model = problem.model
    return f"{model.rope_head_size} of {model.head_size} numbers of a head" if model.kv_lora_rank else "whole heads"


def _warnings(problem: Problem, plan: Plan, request: DeployRequest) -> Iterator[str]:
    if plan.ep > 1:
        yield (
            "The prediction sends each token once to a node (DeepEP); this bundle's all-to-all, which needs only NCCL, "
            "sends a copy for each expert. With DeepEP installed: --moe-token-dispatcher-type flex."
        )
    num_kept = problem.workload.checkpoint.num_kept
    if num_kept is not None:
        yield f"Megatron-LM keeps every checkpoint, not {num_kept}: delete old ones by hand."
    has_shared_folder = request.checkpoint_folder not in (None, NO_CHECKPOINTS)
    if request.data_path is not None and plan.world_size > 1 and not has_shared_folder:
        yield "Megatron-LM writes an index beside the data: rank 0 must write there, and all nodes see it."
