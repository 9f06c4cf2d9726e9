"""Strong and weak scaling of a bundle's training on this machine, measured, beside what was predicted.

`python scripts/evaluate_scaling.py --num_gpus_list 1 2 4 8 --results_dir results/scaling_analysis/` starts the bundle's
trainer with each number of ranks, several times in turn, and leaves the first steps of each start out. Written are
scaling.csv, scaling.json with every step, and scaling.svg.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crosszone.checkpoints import read_config
from crosszone.core.codec import to_json
from crosszone.core.scaling import LEVEL, MODES, ScalingPoint, ScalingRun, default_sizes, scaling_points
from crosszone.core.train import TrainConfig
from crosszone.errors import CrossZoneError, Finding, SpecError
from crosszone.processes import whole_program
from crosszone.runtime.scaling_plot import scaling_svg

FRAMEWORKS = ("ddp", "fsdp", "deepspeed")
"""That torchrun starts."""
CONFIG_PATH = "configs/train.json"
SCALING_PATH = "configs/scaling.json"
"""Predictions that came with the bundle."""
TABLE, RECORD, PLOT = "scaling.csv", "scaling.json", "scaling.svg"
GRACE_SECONDS = 10.0
"""Chosen: ranks that are measured have nothing to save."""
INTERRUPTED_EXIT_CODE = 130
THREADS = "OMP_NUM_THREADS"
"""torchrun gives a rank one thread, but a rank that is alone all cores (torch 2.13, distributed/run.py): here all have
as many, else one rank would compute with what several share."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, tell; the exit code: 0, 1 where no number of ranks ran, 2 for wrong words, 130 where stopped."""
    parser = argparse.ArgumentParser(prog="evaluate_scaling.py", description=__doc__)
    parser.add_argument("--num_gpus_list", type=int, nargs="+", help="powers of two up to the bundle's ranks")
    parser.add_argument("--results_dir", type=Path, default=Path("results/scaling_analysis"))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--steps", type=int, default=12, help="of each start, the warm-up among them")
    parser.add_argument("--warmup", type=int, default=4, help="steps of each start that do not count")
    parser.add_argument("--repeats", type=int, default=3, help="starts of each number of ranks")
    parser.add_argument("--predictions", type=Path, help='JSON: {"strong": {"2": seconds}}; else the bundle\'s')
    parser.add_argument("--bundle", type=Path, default=Path(__file__).resolve().parents[3], help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    try:
        return evaluate(asked)
    except CrossZoneError as error:
        sys.stderr.write("".join(f"error: {finding}\n" for finding in error.findings))
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped: no rank is left, and nothing was written.\n")
        return INTERRUPTED_EXIT_CODE


def evaluate(asked: argparse.Namespace) -> int:
    """As `main`, with what was asked. Errors: SpecError."""
    config = bundle_config(asked.bundle)
    sizes = asked.num_gpus_list or default_sizes(len(config.rank_microbatches))
    wrong = tuple(_wrong_words(asked, sizes))
    if wrong:
        raise SpecError(*wrong)
    predicted = predictions(asked.bundle, config, asked.predictions)
    asked.results_dir.mkdir(parents=True, exist_ok=True)
    runs: list[ScalingRun] = []
    skipped: dict[str, str] = {}
    # In turn, so that what changes on the machine meanwhile meets all sizes alike.
    for repeat in range(asked.repeats):
        for mode in asked.modes:
            for num_gpus in sorted(set(sizes)):
                key = f"{mode} {num_gpus}"
                if key in skipped:
                    continue
                found = _measure(asked, config, mode, num_gpus, repeat)
                if isinstance(found, str):
                    skipped[key] = found
                    sys.stderr.write(f"{key}: {found}\n")
                else:
                    runs.append(found)
    points = scaling_points(runs, predicted, is_comparable=config.device != "cpu")
    _write(asked, config, runs, points, skipped)
    sys.stdout.write("".join(f"{line}\n" for line in table(points)))
    sys.stdout.write("".join(f"{line}\n" for line in (*_notes(config), *above_ideal(points))))
    if not points:
        sys.stderr.write(f"error: no number of ranks could be measured; why is above, and in {asked.results_dir}.\n")
    return 0 if points else 1


def bundle_config(bundle: Path) -> TrainConfig:
    """What the bundle's trainer is told. Errors: SpecError where it has another trainer, or none of torchrun's."""
    path = bundle / CONFIG_PATH
    config = read_config(path)
    if config.framework not in FRAMEWORKS:
        hint = f"Render the job with {', '.join(FRAMEWORKS)}."
        raise SpecError.of(f"ranks of {config.framework} are not started by torchrun.", where=str(path), hint=hint)
    return config


def predictions(bundle: Path, config: TrainConfig, path: Path | None) -> dict[tuple[str, int], float]:
    """Step seconds by (mode, GPUs): of a file, else the bundle's, else its prediction for its own number of ranks.

    Errors: SpecError.
    """
    if path is None and (bundle / SCALING_PATH).is_file():
        path = bundle / SCALING_PATH
    if path is not None:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            return {(mode, int(size)): float(value[mode][size]) for mode in value for size in value[mode]}
        except OSError as error:
            raise SpecError.unreadable("predictions", str(path), error) from None
        except (ValueError, TypeError) as error:
            raise SpecError.of(f'is not {{"strong": {{"2": seconds}}}}: {error}.', where=str(path)) from None
    try:
        value = json.loads((bundle / "metadata.json").read_text(encoding="utf-8"))
        seconds = float(value["prediction"]["step_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {(mode, len(config.rank_microbatches)): seconds for mode in MODES}


def sized_config(config: TrainConfig, mode: str, num_gpus: int, *, num_steps: int) -> TrainConfig | str:
    """The bundle's training with another number of ranks, or why there is none.

    strong: the microbatches of a step are dealt to all ranks; weak: each rank has as many as the bundle's fullest.
    """
    total = config.num_microbatches if mode == "strong" else max(config.rank_microbatches) * num_gpus
    if total % num_gpus:
        return f"{total} microbatches of a step cannot be dealt evenly to {num_gpus} ranks"
    if config.own:
        return "zones divide their work each in its own way, which no other number of ranks follows from"
    whole = len(config.rank_microbatches)
    dp_shard = num_gpus if config.dp_shard == whole else math.gcd(config.dp_shard, num_gpus)
    zones = config.rank_zones[:num_gpus] if num_gpus <= whole else ()  # where more ranks are, nobody knows
    local = config.local if len(set(zones)) > 1 else None  # within one zone nobody steps by himself
    if local is not None:
        dp_shard = math.gcd(config.dp_shard, *Counter(zones).values())
    elif config.framework == "fsdp":
        zones = ()
    return dataclasses.replace(
        config,
        num_steps=num_steps,
        rank_microbatches=(total // num_gpus,) * num_gpus,
        rank_zones=zones,
        local=local,
        dp_shard=dp_shard if config.framework == "fsdp" else config.dp_shard,
        checkpoint=None,
        identity_every_steps=None,
    )


def table(points: Sequence[ScalingPoint]) -> Iterator[str]:
    """As people read it."""
    yield f"{'mode':8}{'ranks':>6}{'step s':>12}{'95 % s':>21}{'speed-up':>10}{'efficiency':>12}{'predicted s':>13}"
    for point in points:
        interval = "-"
        if point.step_low_seconds is not None:
            interval = f"{point.step_low_seconds:.4g} to {point.step_high_seconds:.4g}"
        predicted = "-" if point.predicted_step_seconds is None else f"{point.predicted_step_seconds:.4g}"
        yield (
            f"{point.mode:8}{point.num_gpus:6}{point.step_seconds:12.4g}{interval:>21}{point.speedup:10.3f}"
            f"{point.efficiency_fraction:12.3f}{predicted:>13}"
        )


def above_ideal(points: Sequence[ScalingPoint]) -> Iterator[str]:
    """What to make of an efficiency above 1, as it is shown: the fewest ranks have 1, and more rarely beat that."""
    for point in points:
        if round(point.efficiency_fraction, 3) <= 1.0:
            continue
        base = min(each.num_gpus for each in points if each.mode == point.mode)
        if point.speedup_low is None:
            why = "One start of each does not tell chance from cause: take more --repeats."
        elif point.speedup_low <= point.num_gpus:
            why = "Its interval holds 1, so that chance is enough."
        else:
            why = (
                "That is more than chance: a rank's share may fit caches or free memory, or something else slowed the "
                "fewest ranks down."
            )
        yield (
            f"{point.mode} {point.num_gpus}: efficiency {point.efficiency_fraction:.3f} is above 1: its ranks are "
            f"faster, each, than those of {base}, from which it is counted. {why}"
        )


def _wrong_words(asked: argparse.Namespace, sizes: Sequence[int]) -> Iterator[Finding]:
    least = {"--num_gpus_list": (min(sizes), 1), "--repeats": (asked.repeats, 1), "--warmup": (asked.warmup, 0)}
    for where, (value, lowest) in least.items():
        if value < lowest:
            yield Finding(code="usage", where=where, message=f"{value} is below {lowest}.")
    if asked.steps <= asked.warmup:
        yield Finding(
            code="usage",
            where="--steps",
            message=f"of {asked.steps} steps, {asked.warmup} are warm-up: none is left to measure.",
            hint=f"Take {max(asked.warmup, 0) + 1} or more.",
        )


def _measure(asked: argparse.Namespace, config: TrainConfig, mode: str, num_gpus: int, repeat: int) -> ScalingRun | str:
    """One start, or why there is none."""
    sized = sized_config(config, mode, num_gpus, num_steps=asked.steps)
    if isinstance(sized, str):
        return sized
    folder = (asked.results_dir / f"{mode}-{num_gpus}-{repeat}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _write_config(asked.bundle, sized, folder)
    log = folder / "rank-0.jsonl"
    log.unlink(missing_ok=True)  # of an earlier evaluation
    problem = _train(asked.bundle, folder, num_gpus)
    if problem is not None:
        return problem
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [each for each in records if each.get("event") == "step" and each["step"] > asked.warmup]
    return ScalingRun(
        mode=mode,
        num_gpus=num_gpus,
        repeat=repeat,
        global_batch_tokens=sized.global_batch_tokens,
        step_seconds=tuple(each["step_seconds"] for each in steps),
    )


def _write_config(bundle: Path, config: TrainConfig, folder: Path) -> None:
    """`train.json` of one start; paths of the bundle's own become absolute."""
    configs = (bundle / CONFIG_PATH).parent.resolve()
    value = to_json(dataclasses.replace(config, log_folder=str(folder)))
    if config.model_config is not None:
        value["model_config"] = str(configs / config.model_config)
    if config.data.path is not None:
        value["data"]["path"] = str(configs / config.data.path)
    if config.deepspeed_config is not None:
        keys = json.loads((configs / config.deepspeed_config).read_text(encoding="utf-8"))
        keys["train_batch_size"] = config.global_batch_size
        keys["gradient_accumulation_steps"] = config.rank_microbatches[0]
        (folder / "ds_config.json").write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")
        value["deepspeed_config"] = "ds_config.json"
    (folder / "train.json").write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _train(bundle: Path, folder: Path, num_gpus: int) -> str | None:
    """Start the trainer in the bundle's environment and wait; why it failed, or None."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_gpus}"]
    program = [*torchrun, "-m", "crosszone.runtime.train", str(folder / "train.json")]
    in_bundle = 'cd -- "$1" && shift && . ./environment.sh && exec "$@"'
    command = ["bash", "-c", in_bundle, "bash", str(bundle), *program]
    environment = {**os.environ, THREADS: _num_threads()}
    options: dict[str, Any] = {"stderr": subprocess.STDOUT, "environment": environment, "grace_seconds": GRACE_SECONDS}
    with (
        (folder / "output.log").open("wb") as output,
        whole_program(command, stdout=output, **options) as process,
    ):
        code = process.wait()
    if code == 0:
        return None
    lines = (folder / "output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if "rror" in line] or lines
    return f"the start ended with {code}: {' '.join(errors[-1:])} ({folder / 'output.log'})"


def _num_threads() -> str:
    """Of every rank, whatever their number: what is set, else one, as torchrun has it where there are several."""
    return os.environ.get(THREADS, "1")


def _write(
    asked: argparse.Namespace,
    config: TrainConfig,
    runs: Sequence[ScalingRun],
    points: Sequence[ScalingPoint],
    skipped: dict[str, str],
) -> None:
    """The table, the record and the drawing."""
    names = [field.name for field in dataclasses.fields(ScalingPoint)]
    with (asked.results_dir / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(to_json(point) for point in points)
    record: dict[str, Any] = {
        "schema_version": 1,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "device": config.device,
        "framework": config.framework,
        "model": None if config.model is None else config.model.name,
        "num_steps": asked.steps,
        "num_warmup_steps": asked.warmup,
        "level": LEVEL,
        "points": to_json(tuple(points)),
        "runs": to_json(tuple(runs)),
        "skipped": skipped,
        "notes": [*_notes(config), *above_ideal(points)],
    }
    (asked.results_dir / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    title = f"{record['model'] or 'model'}, {config.framework}, {config.device}, {record['measured'][:10]}"
    (asked.results_dir / PLOT).write_text(scaling_svg(points, title=title), encoding="utf-8")


def _notes(config: TrainConfig) -> Iterator[str]:
    yield "Intervals are Student's for logarithms over starts, not over steps, which are not independent."
    yield f"Each rank computed with {THREADS}={_num_threads()}, whatever the number of ranks."
    if config.device == "cpu":
        yield "Ranks computed on CPUs that they share; predictions are for the job's GPUs, and not compared with them."


if __name__ == "__main__":
    sys.exit(main())
