"""FSDP2 (`fully_shard`) and HSDP: our trainer's configuration."""

from crosszone.core.bundle import DeployRequest, Launch, Program
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.core.problem import Problem
from crosszone.deploy.trainer import TRAINER_PROGRAM, train_files

REQUIREMENTS = ("torch==2.13.0", "transformers>=5.0", "numpy>=2.0")


def program(problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest) -> Program:
    """What each rank runs."""
    return TRAINER_PROGRAM


def files(
    problem: Problem, plan: Plan, prediction: Prediction, request: DeployRequest, launch: Launch
) -> dict[str, str]:
    """Configuration files by path. Errors: InfeasiblePlan, SpecError."""
    return train_files(problem, plan, prediction, request)
