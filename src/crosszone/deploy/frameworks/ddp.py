"""DistributedDataParallel: our trainer's configuration, and the ranks of every node as DDP names them."""

from crosszone.core.bundle import DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.deploy.topology import ddp_text
from crosszone.deploy.trainer import TRAINER_PROGRAM, TRAINER_REQUIREMENTS, train_files

REQUIREMENTS = TRAINER_REQUIREMENTS


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs."""
    return TRAINER_PROGRAM


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path. Errors: InfeasiblePlan, SpecError."""
    return {
        **train_files(problem, plan, prediction, request),
        "pytorch_ddp_config.yaml": ddp_text(launch),
    }
