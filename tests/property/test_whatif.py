"""Laws of what-if over random jobs and changes: the plan stays, and better hardware is never worse."""

import copy
import dataclasses
import itertools
import math
import random
from typing import Any

import pytest

from crosszone import service
from crosszone.errors import CrossZoneError
from crosszone.planner.whatif import Base

NUM_CASES = 40


def job(seed: int) -> dict[str, Any]:
    """Two or three zones, replicas or stages across them, a random link each."""
    draw = random.Random(seed)
    names = ["a", "b", "c"][: draw.choice([2, 2, 3])]
    node = {"count": 1, "gpu": draw.choice(["a100-sxm4-80gb", "h100-sxm5-80gb"]), "gpus_per_node": 4}
    node |= {"network": f"{draw.choice([25, 100, 400])} Gbit/s"}
    links = []
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            rate, rtt = draw.choice([0.5, 1, 5, 20]), draw.choice([1, 10, 60])
            link: dict[str, Any] = {"between": [names[first], names[second]], "bandwidth": f"{rate} Gbit/s"}
            link |= {"rtt": f"{rtt} ms"}
            if draw.random() < 0.4:
                link |= {"window": "4 MB", "streams": draw.choice([1, 4])}
            if draw.random() < 0.3:
                link |= {"loss": 0.0005}
            links.append(link)
    world_size = 4 * len(names)
    plan: dict[str, Any] = {"tp": 1, "microbatch_size": draw.choice([1, 2]), "recompute": "none"}
    if draw.random() < 0.5:
        plan |= {"pp": len(names), "dp": 4, "schedule": "1f1b", "shard": "none"}
        plan["replicas"] = [{"zones": names, "num_replicas": 4}]
    else:
        plan |= {"pp": 1, "dp": world_size, "shard": "none"}
        plan["replicas"] = [{"zones": [name], "num_replicas": 4} for name in names]
    return {
        "model": "bert-large",
        "workload": {"sequence_length": 512, "global_batch_size": 2 * world_size * draw.choice([1, 2, 4])},
        "cluster": {"zones": [{"name": name, "nodes": [copy.deepcopy(node)]} for name in names], "links": links},
        "framework": {"name": "megatron"},
        "plan": plan,
    }


@pytest.fixture(scope="module", params=range(NUM_CASES))
def base(request: pytest.FixtureRequest) -> Base:
    return service.whatif_base(job(request.param))


def step(base: Base, *settings: str) -> float:
    return service.whatif(base, settings or ["schema_version=1"]).changed.prediction.step_seconds


def test_nothing_that_matters_set_changes_nothing(base: Base) -> None:
    result = service.whatif(base, ["schema_version=1"])
    assert result.changed == result.base
    assert all(change.difference in (0.0, None) for change in result.changes)
    assert result.regime.name == result.base_regime.name


def test_better_links_are_never_slower(base: Base) -> None:
    seconds = [step(base, f"links.*.bandwidth=x{factor}") for factor in (0.5, 1, 2, 8)]
    assert all(after <= before * (1.0 + 1e-9) for before, after in itertools.pairwise(seconds))
    delays = [step(base, f"links.*.rtt=x{factor}") for factor in (2, 1, 0.5)]
    assert all(after <= before * (1.0 + 1e-9) for before, after in itertools.pairwise(delays))


def test_bytes_do_not_depend_on_how_good_links_are(base: Base) -> None:
    result = service.whatif(base, ["links.*.bandwidth=x3", "links.*.rtt=x2", "links.*.loss=0.00001"])
    for change in result.changes:
        if change.name.startswith("links[") and change.name.endswith("step_bytes"):
            assert change.ratio == 1.0, change.name


def test_a_change_of_links_is_what_the_edited_file_predicts(base: Base) -> None:
    edited = copy.deepcopy(base.job.source.value)
    for link in edited["cluster"]["links"]:
        link |= {"bandwidth": "3 Gbit/s", "loss": 0.0001, "streams": 8}
    edited["workload"]["global_batch_size"] *= 2
    settings = [
        "links.*.bandwidth=3 Gbit/s",
        "links.*.loss=0.0001",
        "links.*.streams=8",
        "workload.global_batch_size=x2",
    ]
    predicted = service.predict(service.read(edited))
    assert service.whatif(base, settings).changed == dataclasses.replace(predicted, checks=())


def test_regimes_are_named_by_their_slopes(base: Base) -> None:
    saved = {slope.what: slope.seconds_saved for slope in base.regime.slopes}
    seconds = base.ranked.prediction.step_seconds
    assert all(math.isfinite(value) for value in saved.values())
    assert saved["communication"] >= saved["zone_links"] - 1e-9 * seconds
    assert saved["gpus"] < seconds
    if base.regime.name == "communication_bound":
        assert saved["communication"] >= saved["gpus"]
    if base.regime.name == "compute_bound":
        assert saved["communication"] < 0.05 * seconds


@pytest.mark.parametrize("seed", range(0, NUM_CASES, 10))
def test_advice_gains_what_it_says(seed: int) -> None:
    base = service.whatif_base(job(seed))
    seconds, tokens = base.ranked.prediction.step_seconds, base.ranked.prediction.global_batch_tokens
    for one in service.advice(base):
        try:
            after = service.whatif(base, one.settings).changed.prediction
        except CrossZoneError as error:
            pytest.fail(f"{one.settings}: {error}")
        assert one.seconds_saved == pytest.approx(seconds - after.step_seconds * tokens / after.global_batch_tokens)
        assert one.seconds_saved > 0.0
