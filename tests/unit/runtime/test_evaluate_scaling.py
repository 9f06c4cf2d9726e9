import dataclasses
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crosszone.core.codec import to_json
from crosszone.core.scaling import ScalingRun, default_sizes, scaling_points
from crosszone.core.train import TrainConfig, TrainLocal, TrainOwn, train_problems
from crosszone.errors import SpecError
from crosszone.processes import identity
from crosszone.runtime.evaluate_scaling import above_ideal, main, predictions, sized_config, table
from crosszone.runtime.scaling_plot import predicted_speedup, scaling_svg
from tiny_training import tiny_training


def config(**changes: object) -> TrainConfig:
    return tiny_training(rank_microbatches=(2, 2, 2, 2), identity_every_steps=5, **changes)


def sized(base: TrainConfig, mode: str, num_gpus: int) -> TrainConfig:
    found = sized_config(base, mode, num_gpus, num_steps=12)
    assert isinstance(found, TrainConfig)
    assert not list(train_problems(found))
    return found


def test_strong_scaling_keeps_the_batch_of_a_step() -> None:
    for num_gpus in (1, 2, 4, 8):
        found = sized(config(), "strong", num_gpus)
        assert found.global_batch_size == config().global_batch_size
        assert found.rank_microbatches == (8 // num_gpus,) * num_gpus
        assert found.data == config().data  # the order of samples is the bundle's


def test_weak_scaling_keeps_the_batch_of_a_rank() -> None:
    for num_gpus in (1, 2, 3, 8):
        found = sized(config(), "weak", num_gpus)
        assert found.rank_microbatches == (2,) * num_gpus
        assert found.data == config().data  # the order of samples is the bundle's


def test_what_cannot_be_dealt_evenly_is_told_and_not_rounded() -> None:
    assert sized_config(config(), "strong", 3, num_steps=12) == (
        "8 microbatches of a step cannot be dealt evenly to 3 ranks"
    )


@pytest.mark.parametrize(("dp_shard", "num_gpus", "expected"), [(4, 2, 2), (4, 8, 8), (2, 8, 2), (2, 1, 1), (2, 3, 1)])
def test_shard_groups_follow_the_number_of_ranks(dp_shard, num_gpus, expected) -> None:
    base = config(framework="fsdp", shard="parameters", dp_shard=dp_shard)
    assert sized(base, "weak", num_gpus).dp_shard == expected


def test_zones_step_by_themselves_where_there_are_several() -> None:
    zones = {"rank_zones": (0, 0, 1, 1), "local": TrainLocal(every=10)}
    base = config(framework="fsdp", shard="parameters", dp_shard=2, **zones)
    assert [sized(base, "weak", number).local is not None for number in (1, 2, 3, 4, 8)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    for number in (2, 3, 4, 8):
        assert not list(train_problems(sized(base, "weak", number)))
    assert sized(base, "weak", 3).dp_shard == 1
    own = TrainOwn(microbatch_size=2, dp_shard=2, shard="parameters", recompute="none")
    found = sized_config(dataclasses.replace(base, own=(own, own)), "weak", 2, num_steps=12)
    assert "each in its own way" in str(found)


def test_nothing_but_steps_is_measured() -> None:
    found = sized(config(), "weak", 2)
    assert found.checkpoint is None
    assert found.identity_every_steps is None


def test_sizes_are_powers_of_two_and_the_bundles_own() -> None:
    assert default_sizes(1) == [1]
    assert default_sizes(8) == [1, 2, 4, 8]
    assert default_sizes(6) == [1, 2, 4, 6]


def test_the_bundles_prediction_is_for_its_own_number_of_ranks(tmp_path) -> None:
    assert predictions(tmp_path, config(), None) == {}
    (tmp_path / "metadata.json").write_text(json.dumps({"prediction": {"step_seconds": 2.5}}))
    assert predictions(tmp_path, config(), None) == {("strong", 4): 2.5, ("weak", 4): 2.5}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/scaling.json").write_text(json.dumps({"weak": {"1": 2}}))
    assert predictions(tmp_path, config(), None) == {("weak", 1): 2.0}
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"strong": {"1": 8, "2": 4}}))
    assert predictions(tmp_path, config(), more) == {("strong", 1): 8.0, ("strong", 2): 4.0}
    more.write_text('{"strong": {"x": 8}}')
    with pytest.raises(SpecError):
        predictions(tmp_path, config(), more)


def test_a_folder_that_is_no_bundle_is_a_users_mistake(tmp_path, capsys) -> None:
    assert main(["--bundle", str(tmp_path)]) == 2
    assert "cannot read the training configuration" in capsys.readouterr().err


def bundle(folder: Path, **changes: object) -> list[str]:
    """Words of the script for a bundle that is written here."""
    (folder / "environment.sh").touch()
    (folder / "configs").mkdir()
    (folder / "configs/train.json").write_text(json.dumps(to_json(config(**changes))))
    return ["--bundle", str(folder), "--results_dir", str(folder / "results")]


def test_wrong_numbers_are_told_by_option_all_at_once(tmp_path, capsys) -> None:
    words = ["--num_gpus_list", "2", "0", "--repeats", "0", "--steps", "4", "--warmup", "4"]
    assert main([*bundle(tmp_path), *words]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --num_gpus_list: 0 is below 1.",
        "error: --repeats: 0 is below 1.",
        "error: --steps: of 4 steps, 4 are warm-up: none is left to measure. Take 5 or more.",
    ]
    assert not (tmp_path / "results").exists()


def test_nothing_measured_is_said_with_the_reasons(tmp_path, capsys) -> None:
    words = [*bundle(tmp_path), "--num_gpus_list", "3", "--modes", "strong"]
    assert main(words) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "strong 3: 8 microbatches of a step cannot be dealt evenly to 3 ranks"
    assert said[1].startswith("error: no number of ranks could be measured")


def efficient(*starts: tuple[int, float]) -> list[str]:
    """Remarks on starts of (GPUs, seconds)."""
    runs = [
        ScalingRun(mode="strong", num_gpus=num, repeat=index, global_batch_tokens=64, step_seconds=(seconds,))
        for index, (num, seconds) in enumerate(starts)
    ]
    return list(above_ideal(scaling_points(runs, {})))


def test_an_efficiency_above_1_is_explained_and_others_are_not() -> None:
    assert efficient((1, 4.0), (2, 2.1)) == []
    (alone,) = efficient((1, 4.0), (2, 1.9))
    assert alone.startswith("strong 2: efficiency 1.053 is above 1: its ranks are faster, each, than those of 1,")
    assert "take more --repeats" in alone
    (chance,) = efficient((1, 4.0), (1, 4.5), (2, 1.9), (2, 2.2))
    assert "Its interval holds 1" in chance
    (cause,) = efficient((1, 4.0), (1, 4.001), (1, 4.002), (2, 1.0), (2, 1.001), (2, 1.002))
    assert "more than chance" in cause


NOTING = """#!/usr/bin/env bash
echo "$4 $OMP_NUM_THREADS" >>asked
exit 3
"""
"""In the place of torchrun: it writes down how many ranks are wanted, and with how many threads."""


@pytest.mark.parametrize("given", [None, "3"])
def test_a_rank_that_is_alone_has_as_many_threads_as_each_of_several(tmp_path, capsys, monkeypatch, given) -> None:
    python = tmp_path / "python"
    python.write_text(NOTING)
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    words = bundle(tmp_path)
    assert main([*words, "--num_gpus_list", "1", "2", "--modes", "strong", "--repeats", "1"]) == 1
    threads = given or "1"
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"--nproc-per-node=1 {threads}",
        f"--nproc-per-node=2 {threads}",
    ]
    assert f"with OMP_NUM_THREADS={threads}, whatever the number of ranks." in capsys.readouterr().out


LAUNCHER = """#!/usr/bin/env bash
setsid sleep 600 &
echo $! >pid.part
mv pid.part pid
wait
"""
"""In the place of torchrun: it leaves what it started when it is ended, in a session of its own."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_rank_behind(tmp_path, capsys, monkeypatch, number) -> None:
    python, pid = tmp_path / "python", tmp_path / "pid"
    python.write_text(LAUNCHER)
    python.chmod(0o755)
    words = bundle(tmp_path)
    monkeypatch.setattr(sys, "executable", str(python))

    def interrupt() -> None:
        while not pid.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        assert main(words) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "no rank is left" in capsys.readouterr().err
    assert identity(int(pid.read_text())) is None
    assert not (tmp_path / "results/scaling.json").exists()


def points(predicted):
    runs = [
        ScalingRun(
            mode="strong", num_gpus=num, repeat=repeat, global_batch_tokens=64, step_seconds=(8 / num + repeat / 10,)
        )
        for num in (1, 2, 4)
        for repeat in range(2)
    ]
    return scaling_points(runs, predicted)


def test_the_drawing_has_every_point_its_interval_and_its_prediction() -> None:
    drawn = points({("strong", 1): 8.0, ("strong", 4): 2.5})
    text = scaling_svg(drawn, title='a < b & "c"')
    root = ElementTree.fromstring(text)
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert [circle.get("fill") == "none" for circle in circles].count(True) == 2
    assert len(circles) == 5
    assert predicted_speedup(drawn[2], drawn) == pytest.approx(3.2)
    assert predicted_speedup(drawn[1], drawn) is None
    assert next(root.iter("{http://www.w3.org/2000/svg}text")).text == 'a < b & "c"'


def test_without_points_there_is_still_a_drawing_and_a_table() -> None:
    assert ElementTree.fromstring(scaling_svg((), title="nothing")) is not None
    assert len(list(table(()))) == 1
    assert len(list(table(points({})))) == 4
