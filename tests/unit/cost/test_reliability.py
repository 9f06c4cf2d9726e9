"""Failures and checkpoints: published examples, laws, and a simulation of failures one by one."""

import itertools
import math

import numpy as np
import pytest

from crosszone.cost.reliability import (
    WallTime,
    checkpoint_bytes,
    checkpoint_write_seconds,
    daly_interval_seconds,
    expected_num_failures,
    expected_wall_seconds,
    failure_probability,
    job_mtbf_seconds,
    wall_time,
    young_interval_seconds,
)

HOUR, DAY = 3600.0, 86400.0
CASES = {
    "hardly any": {"mtbf_seconds": 400.0, "restart_seconds": 1.0},
    "a few": {"mtbf_seconds": 100.0, "restart_seconds": 1.0},
    "several": {"mtbf_seconds": 30.0, "restart_seconds": 1.0},
    "as often as segments": {"mtbf_seconds": 10.0, "restart_seconds": 3.0},
    "all the time": {"mtbf_seconds": 4.0, "restart_seconds": 1.0},
}
"""100 s of work, saved every 5 s for 0.5 s."""


def simulated(num_trainings: int, *, mtbf_seconds: float, restart_seconds: float) -> np.ndarray:
    """Wall time of trainings of 20 segments of 5.5 s, drawn failure by failure."""
    random = np.random.default_rng(7)

    def until_done(length: float, others: float) -> float:
        """One segment (or, without `others`, one restart), tried until no failure comes."""
        total = 0.0
        while (failure := random.exponential(mtbf_seconds)) < length:
            total += failure + (until_done(others, 0.0) if others else 0.0)
        return total + length

    return np.array([sum(until_done(5.5, restart_seconds) for _ in range(20)) for _ in range(num_trainings)])


def distribution(**case: float) -> WallTime:
    return wall_time(work_seconds=100.0, every_seconds=5.0, checkpoint_seconds=0.5, **case)


def test_young_s_interval_is_his_formula() -> None:
    # 5 minutes to save, a failure a day: sqrt(2 * 300 * 86400) = 2 h.
    assert young_interval_seconds(checkpoint_seconds=300.0, mtbf_seconds=DAY) == pytest.approx(7200.0)


@pytest.mark.parametrize(
    ("checkpoint", "mtbf", "expected"),
    [
        # sqrt(2*5*1440) = 120 min; (1 + sqrt(5/2880)/3 + 5/2880/9) * 120 - 5 = 116.69 min.
        (300.0, DAY, 116.69 * 60),
        # sqrt(2*5*360) = 60 min; (1 + 0.08333/3 + 0.006944/9) * 60 - 5 = 56.71 min.
        (300.0, 6 * HOUR, 56.713 * 60),
        # Saving takes twice as long as nothing fails: then the mean time itself.
        (2 * HOUR, HOUR, HOUR),
        (5 * HOUR, HOUR, HOUR),
    ],
)
def test_daly_s_interval_is_his_equation_37(checkpoint: float, mtbf: float, expected: float) -> None:
    found = daly_interval_seconds(checkpoint_seconds=checkpoint, mtbf_seconds=mtbf)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("ratio", [1e-5, 1e-3, 0.03, 0.3, 1.0])
def test_daly_s_interval_loses_least(ratio: float) -> None:
    def wall(every: float) -> float:
        return float(
            expected_wall_seconds(
                work_seconds=1.0, every_seconds=every, checkpoint_seconds=ratio, restart_seconds=0.1, mtbf_seconds=1.0
            )
        )

    best = wall(float(daly_interval_seconds(checkpoint_seconds=ratio, mtbf_seconds=1.0)))
    everywhere = min(wall(every) for every in np.geomspace(ratio / 10, 10, 2000))
    assert best == pytest.approx(everywhere, rel=2e-3)
    if ratio > 0.1:
        young = wall(float(young_interval_seconds(checkpoint_seconds=ratio, mtbf_seconds=1.0)))
        assert best < young


def test_without_failures_only_checkpoints_are_added() -> None:
    found = expected_wall_seconds(
        work_seconds=1000.0, every_seconds=100.0, checkpoint_seconds=2.0, restart_seconds=60.0, mtbf_seconds=math.inf
    )
    assert found == 1020.0
    sure = wall_time(
        work_seconds=1000.0, every_seconds=100.0, checkpoint_seconds=2.0, restart_seconds=60.0, mtbf_seconds=math.inf
    )
    assert (sure.mean_seconds, sure.quantile_seconds(0.5), sure.quantile_seconds(0.999)) == (1020.0, 1020.0, 1020.0)


def test_llama_3_kept_more_than_nine_tenths_of_its_time() -> None:
    # 419 unexpected interruptions in 54 days on 16,384 H100; 405 B parameters x 14 bytes at 2 TB/s; 10 min to restart.
    mtbf = 54 * DAY / 419
    saved = 405e9 * 14 / 2e12
    every = daly_interval_seconds(checkpoint_seconds=saved, mtbf_seconds=mtbf)
    wall = expected_wall_seconds(
        work_seconds=54 * DAY,
        every_seconds=every,
        checkpoint_seconds=saved,
        restart_seconds=600.0 + saved,
        mtbf_seconds=mtbf,
    )
    assert 0.90 < 54 * DAY / wall < 0.95


@pytest.mark.parametrize("name", CASES)
def test_the_mean_is_daly_s_complete_model(name: str) -> None:
    case = CASES[name]
    known = expected_wall_seconds(work_seconds=100.0, every_seconds=5.0, checkpoint_seconds=0.5, **case)
    assert distribution(**case).mean_seconds == pytest.approx(float(known), rel=1e-9)
    failures = expected_num_failures(
        work_seconds=100.0, every_seconds=5.0, checkpoint_seconds=0.5, mtbf_seconds=case["mtbf_seconds"]
    )
    assert distribution(**case).num_failures == pytest.approx(float(failures))


@pytest.mark.parametrize("name", CASES)
def test_mean_and_quantiles_are_those_of_simulated_failures(name: str) -> None:
    found, drawn = distribution(**CASES[name]), simulated(3000, **CASES[name])
    assert found.mean_seconds == pytest.approx(drawn.mean(), rel=0.01)
    for share in (0.5, 0.9):
        assert found.quantile_seconds(share) == pytest.approx(np.quantile(drawn, share), rel=0.02)


def test_a_training_that_rarely_fails_is_mostly_undisturbed() -> None:
    rare = distribution(mtbf_seconds=1e4, restart_seconds=1.0)
    assert rare.quantile_seconds(0.5) == rare.quantile_seconds(0.9) == 110.0
    assert rare.quantile_seconds(0.995) > 110.0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_with_the_interval_fixed_more_failures_or_longer_restarts_are_never_better(share: float) -> None:
    def at(mtbf: float, restart: float) -> float:
        return distribution(mtbf_seconds=mtbf, restart_seconds=restart).quantile_seconds(share)

    by_mtbf = [at(mtbf, 1.0) for mtbf in np.geomspace(1e5, 3.0, 200)]
    by_restart = [at(20.0, restart) for restart in np.linspace(0.0, 30.0, 200)]
    for times in (by_mtbf, by_restart):
        assert all(later >= earlier * (1 - 2e-3) for earlier, later in itertools.pairwise(times))
        assert times[-1] > times[0]


def test_with_the_best_interval_more_failures_never_shorten_the_mean() -> None:
    random = np.random.default_rng(3)
    saved, restart = random.uniform(0.01, 500.0, 5000), random.uniform(0.0, 5000.0, 5000)
    mtbf = 10 ** random.uniform(3.0, 8.0, 5000)

    def mean(mtbf: np.ndarray) -> np.ndarray:
        every = daly_interval_seconds(checkpoint_seconds=saved, mtbf_seconds=mtbf)
        return expected_wall_seconds(
            work_seconds=1e6, every_seconds=every, checkpoint_seconds=saved, restart_seconds=restart, mtbf_seconds=mtbf
        )

    assert np.all(mean(mtbf / 1.1) >= mean(mtbf))


def test_quantiles_are_in_order_and_above_the_work() -> None:
    for case in CASES.values():
        found = distribution(**case)
        times = [found.quantile_seconds(share) for share in (0.01, 0.1, 0.5, 0.9, 0.99)]
        assert times == sorted(times)
        assert times[0] >= found.base_seconds == 110.0


def test_repairs_stretch_all_of_it_and_their_variance_adds() -> None:
    for case in CASES.values():
        plain, repaired = distribution(**case), distribution(**case, repair_seconds=3.0, repair_variance=9.0)
        stretch = 1.0 + 3.0 / case["mtbf_seconds"]
        assert repaired.mean_seconds == pytest.approx(plain.mean_seconds * stretch, rel=1e-9)
        assert repaired.loss_variance > plain.loss_variance + 9.0


def test_variances_do_not_jump_where_their_series_ends() -> None:
    # Both sides of a hundredth of the mean time between failures, for the restart and for the segment.
    for base in (0.00999, 0.01001):
        found = wall_time(
            work_seconds=1.0, every_seconds=base, checkpoint_seconds=0.0, restart_seconds=base, mtbf_seconds=1.0
        )
        assert found.loss_variance == pytest.approx(base**2 / 12 + base**3 / 3, rel=2e-2)
        assert found.loss_seconds == pytest.approx(base / 2 - base**2 / 12 + base + base**2 / 2, rel=1e-4)


def test_what_never_ends_is_infinite_and_no_error() -> None:
    assert not math.isfinite(
        wall_time(
            work_seconds=1e6, every_seconds=1e4, checkpoint_seconds=1.0, restart_seconds=1e6, mtbf_seconds=1.0
        ).mean_seconds
    )


def test_rates_add_up() -> None:
    assert job_mtbf_seconds(16_384 * 419 / (16_384 * 54 * DAY)) == pytest.approx(54 * DAY / 419)
    assert job_mtbf_seconds(0.0) == math.inf
    assert np.array_equal(job_mtbf_seconds(np.array([0.5, 0.25])), [2.0, 4.0])


def test_the_chance_of_a_failure() -> None:
    assert failure_probability(wall_seconds=0.0, mtbf_seconds=5.0) == 0.0
    assert failure_probability(wall_seconds=5.0, mtbf_seconds=5.0) == pytest.approx(1 - 1 / math.e)
    assert failure_probability(wall_seconds=5.0, mtbf_seconds=math.inf) == 0.0


def test_a_checkpoint_of_bloom_is_as_large_as_published() -> None:
    # BigScience: 2.3 TB with the optimizer's states (TiB, as file systems count).
    assert checkpoint_bytes(num_parameters=176.247e9, parameter_bytes=14.0) / 2**40 == pytest.approx(2.3, rel=0.03)


def test_nodes_write_at_once() -> None:
    one = checkpoint_write_seconds(size_bytes=1e12, num_nodes=1, node_bytes_per_second=1e9)
    assert one == 1000.0
    assert checkpoint_write_seconds(size_bytes=1e12, num_nodes=8, node_bytes_per_second=1e9) == one / 8
