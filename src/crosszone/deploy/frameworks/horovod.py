"""Horovod (legacy): our trainer with Horovod's optimizer under horovodrun or mpirun.

Horovod 0.28.1 of June 2023 is its last release. DistributedDataParallel does the same sum, and needs nothing that nodes
do not have. Read in 0.28.1: horovod/common/common.h and utils/env_parser.cc for the variables; setup.py for the build
flags; runner/common/util/safe_shell_exec.py: a stopped horovodrun kills its ranks after 5 s, a number in its source;
CMakeLists.txt and horovod/torch/CMakeLists.txt set C++14, but the headers of torch 2.1 and later need C++17
(horovod/horovod issue 3996).
"""

import math

from crosszone.core.bundle import HOROVODRUN, DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.core.workload import Dtypes
from crosszone.deploy.scripts import STRICT, script
from crosszone.deploy.trainer import TRAINER_PROGRAM, TRAINER_REQUIREMENTS, ladder, train_files
from crosszone.errors import InfeasiblePlan
from crosszone.frameworks import framework_facts

REQUIREMENTS = (*TRAINER_REQUIREMENTS, "cloudpickle==3.1.2", "psutil==7.2.2", "pyyaml==6.0.3")
"""And Horovod itself, by `SETUP_PATH`."""
LAUNCHER = HOROVODRUN
SETUP_PATH = "scripts/setup_horovod.sh"
VERSION = "0.28.1"
SOURCE_SHA256 = "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"
BUILD_REQUIREMENTS = ("cffi>=1.4", "packaging>=21", "setuptools<81", "wheel")
"""What is in pip's isolated builds otherwise; with setuptools 81 and later the build fails."""
PACKAGES = ("cmake", "g++", "make", "openssh-client")
STALL_WARNING_SECONDS = 60
"""Horovod's own."""
WARNING = (
    "Horovod is legacy: 0.28.1 (June 2023) is its last release, and it builds with current torch only when patched. "
    "ddp does the same."
)


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs. Errors: InfeasiblePlan where Horovod sends gradients in no such format."""
    _check_dtypes(problem.workload.dtypes)
    limits = ladder(problem, plan, prediction)
    bucket_bytes = plan.bucket_bytes or framework_facts("horovod").gradient_bucket_bytes
    shutdown_seconds = max(math.ceil(limits.step_deadline_seconds), STALL_WARNING_SECONDS + 1)
    return Program(
        argv=TRAINER_PROGRAM.argv,
        check=TRAINER_PROGRAM.check,
        launcher=LAUNCHER,
        environment=(
            ("HOROVOD_FUSION_THRESHOLD", str(round(bucket_bytes))),
            ("HOROVOD_GLOO_TIMEOUT_SECONDS", str(math.ceil(limits.collective_seconds))),
            ("HOROVOD_STALL_CHECK_TIME_SECONDS", str(STALL_WARNING_SECONDS)),
            ("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", str(shutdown_seconds)),
        ),
        packages=PACKAGES,
        setup=(SETUP_PATH,),
        warnings=(WARNING,),
    )


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path, and the program that builds Horovod. Errors: InfeasiblePlan, SpecError."""
    return {**train_files(problem, plan, prediction, request), SETUP_PATH: setup_text(request)}


def setup_text(request: DeployRequest) -> str:
    """Builds Horovod for the torch that is installed: with NCCL on GPUs, and MPI where the backend starts ranks so."""
    flags = {
        "HOROVOD_WITH_PYTORCH": "1",
        "HOROVOD_WITH_GLOO": "1",
        "HOROVOD_WITHOUT_TENSORFLOW": "1",
        "HOROVOD_WITHOUT_MXNET": "1",
        "HOROVOD_WITH_MPI" if request.backend == "mpi" else "HOROVOD_WITHOUT_MPI": "1",
        **({"HOROVOD_GPU_OPERATIONS": "NCCL"} if request.device == "cuda" else {}),
    }
    requirements = " ".join(f"'{line}'" for line in BUILD_REQUIREMENTS)
    return script(
        f"# Builds Horovod {VERSION} for the torch that is here, in about three minutes. Needs {', '.join(PACKAGES)}"
        + (", and a CUDA toolkit with NCCL's headers." if request.device == "cuda" else "."),
        *STRICT,
        'python="${PYTHON:-python3}"',
        'work="$(mktemp -d)"',
        "trap 'rm -rf \"$work\"' EXIT",
        f'"$python" -m pip install {requirements}',
        'cd -- "$work"',
        f"\"$python\" -m pip download --no-deps --no-binary :all: --no-build-isolation 'horovod=={VERSION}'",
        f'echo "{SOURCE_SHA256}  horovod-{VERSION}.tar.gz" | sha256sum --check --quiet',
        f"tar -xzf horovod-{VERSION}.tar.gz",
        f"cd horovod-{VERSION}",
        "# torch's headers need C++17.",
        "sed -i 's/set(CMAKE_CXX_STANDARD 14)/set(CMAKE_CXX_STANDARD 17)/' CMakeLists.txt horovod/torch/CMakeLists.txt",
        *(f"export {name}={value}" for name, value in flags.items()),
        '"$python" -m pip install --no-build-isolation --no-deps .',
    )


def _check_dtypes(dtypes: Dtypes) -> None:
    """horovod/torch/compression.py has none and fp16; gradients of our trainer are in the format of its weights."""
    if dtypes.gradient_reduction not in ("fp32", "fp16"):
        raise InfeasiblePlan.of(
            f"horovod: gradients travel in fp32 or fp16, not in {dtypes.gradient_reduction}.",
            where="workload.dtypes.gradient_reduction",
            hint="Set workload.dtypes.gradient_reduction=fp32, or take ddp.",
            code="not_expressible",
        )
