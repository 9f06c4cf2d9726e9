"""A bundle as it lies in its folder: what its manifest says, and whether its files are still what was rendered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosszone.core.bundle import BUNDLE_KIND, MANIFEST_PATH
from crosszone.core.run import PredictedRun
from crosszone.core.timeouts import timeouts
from crosszone.errors import Finding, SpecError

TRAIN_CONFIG_PATH = "configs/train.json"
REQUIREMENTS_PATH = "requirements.txt"
RUN_PATH, STOP_PATH, STATUS_PATH, FETCH_PATH = (
    "run_training.sh", "stop_training.sh", "status_training.sh", "fetch_logs.sh",
)  # fmt: skip
"""Programs that a bundle may have."""
LOG_FOLDER = "logs"
LEVEL = 0.9
"""Of the interval that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFolder:
    """A bundle that can be started."""

    folder: Path
    backend: str
    framework: str
    device: str
    """cuda | cpu"""
    fingerprint: str
    world_size: int
    num_steps: int | None
    """Of the whole training; None where a person's own program decides."""
    has_own_program: bool
    """Whether a person's own program runs, and not our trainer."""
    grace_seconds: float
    """That ranks need to end their step and save."""
    predicted: PredictedRun
    files: tuple[tuple[str, str], ...]
    """(path, SHA-256 of its bytes in hex digits) as they were rendered."""

    def has(self, path: str) -> bool:
        """Whether the bundle brought a file of this path."""
        return any(path == each for each, _ in self.files)

    @property
    def logs(self) -> Path:
        """Where a run leaves what it tells."""
        return self.folder / LOG_FOLDER


def open_bundle(folder: Path) -> BundleFolder:
    """The bundle in `folder`. Errors: SpecError where there is none, or its manifest says something else."""
    manifest = folder / MANIFEST_PATH
    try:
        value = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        if folder.is_dir():
            raise _no_bundle(folder) from None
        raise SpecError.unreadable("bundle", str(folder), error) from None
    except ValueError:
        raise _no_bundle(folder) from None
    if not isinstance(value, dict) or value.get("kind") != BUNDLE_KIND:
        raise _no_bundle(folder)
    try:
        return _read(folder.absolute(), value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpecError.of(
            f"the manifest cannot be read: {type(error).__name__} {error}.",
            where=str(manifest),
            hint="Render the bundle again: `crosszone deploy`.",
        ) from None


def edited_files(bundle: BundleFolder) -> Iterator[Finding]:
    """Every file whose content is not what was rendered."""
    for path, sha256 in bundle.files:
        try:
            is_same = hashlib.sha256((bundle.folder / path).read_bytes()).hexdigest() == sha256
            what = "was edited"
        except OSError:
            is_same, what = False, "is missing or cannot be read"
        if not is_same:
            yield Finding(
                code="edited",
                where=str(bundle.folder / path),
                message=f"it {what} after it was rendered: what would run is not what was predicted.",
                hint="`crosszone deploy` renders it again; --force runs it as it is.",
            )


def predicted_run(prediction: Mapping[str, Any]) -> PredictedRun:
    """What of a prediction, as JSON, a run can be held against: of memory what PyTorch allocates, as runs measure."""
    interval = next((each for each in prediction["intervals"] if each["level"] == LEVEL), None)
    stages = prediction["memory"]["stages"]
    return PredictedRun(
        step_seconds=float(prediction["step_seconds"]),
        low_seconds=None if interval is None else float(interval["low_seconds"]),
        high_seconds=None if interval is None else float(interval["high_seconds"]),
        level=None if interval is None else LEVEL,
        tokens_per_second=float(prediction["tokens_per_second"]),
        tokens_per_second_per_gpu=float(prediction["tokens_per_second_per_gpu"]),
        model_flop_per_second_per_gpu=float(prediction["model_flop_per_second_per_gpu"]),
        peak_bytes=float(
            max((stage["allocated_bytes"] for stage in stages), default=prediction["memory"]["peak_bytes"])
        ),
        gpus=tuple(dict.fromkeys(str(stage["gpu"]) for stage in stages)),
    )


def _read(folder: Path, value: dict[str, Any]) -> BundleFolder:
    request, prediction = value["request"], value["prediction"]
    return BundleFolder(
        folder=folder,
        backend=str(request["backend"]),
        framework=str(value["framework"]),
        device=str(request["device"]),
        fingerprint=str(value["fingerprint"]),
        world_size=int(prediction["num_gpus"]),
        num_steps=_num_steps(folder, value),
        has_own_program="entry.py" in value["files"],
        grace_seconds=_grace_seconds(prediction),
        predicted=predicted_run(prediction),
        files=tuple((str(path), str(facts["sha256"])) for path, facts in sorted(value["files"].items())),
    )


def _num_steps(folder: Path, value: dict[str, Any]) -> int | None:
    """As our trainer is told; else what was asked for, where it was."""
    if TRAIN_CONFIG_PATH in value["files"]:
        config = json.loads((folder / TRAIN_CONFIG_PATH).read_text(encoding="utf-8"))
        return int(config["num_steps"])
    asked = value["request"]["num_steps"]
    return None if asked is None else int(asked)


def _grace_seconds(prediction: dict[str, Any]) -> float:
    """That of the bundle's own ladder of time-outs, in which round trips below 5 s play no part."""
    reliability = prediction.get("reliability") or {}
    slowest = max((each["high_seconds"] for each in prediction["intervals"]), default=prediction["step_seconds"])
    limits = timeouts(
        rtt_seconds=0.0,
        p99_step_seconds=slowest,
        checkpoint_stall_seconds=reliability.get("checkpoint_seconds") or 0.0,
    )
    return float(limits.grace_seconds)


def _no_bundle(folder: Path) -> SpecError:
    return SpecError.of(
        f"there is no bundle: {MANIFEST_PATH} of `crosszone deploy` is missing, or is something else.",
        where=str(folder),
        hint="Name the folder that `crosszone deploy -o DIR` wrote.",
        code="no_bundle",
    )
