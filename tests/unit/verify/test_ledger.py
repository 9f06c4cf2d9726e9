"""Learning ranges from errors: quantiles by hand, and what never narrows."""

import random

import pytest

from crosszone.catalog.intervals import read_ledger
from crosszone.core.closeness import KNOWLEDGE, LAYOUTS, Closeness
from crosszone.verify.ledger import Residual, learn, ledger_toml, quantiles

STUDIED = Closeness(knowledge="studied", layout="one_fabric")


def residuals(source: str, ratios, knowledge: str = "studied", layout: str = "one_fabric") -> list[Residual]:
    closeness = Closeness(knowledge=knowledge, layout=layout)
    return [Residual(source=source, closeness=closeness, log_ratio=ratio) for ratio in ratios]


def everywhere(scale=lambda knowledge, layout: 0.1) -> list[Residual]:
    """Thirty runs of two sources in every class, the largest error being `scale`."""
    return [
        residual
        for knowledge in KNOWLEDGE[:-1]
        for layout in LAYOUTS
        for source in ("first", "second")
        for residual in residuals(
            source, [scale(knowledge, layout) * index / 15 for index in range(1, 16)], knowledge, layout
        )
    ]


def learnt(found: list[Residual]):
    return learn(found, gpu_generations=("Ampere",), frameworks=("megatron",), source="tests", date="2026-11-21")


def test_quantiles_of_ten_runs_by_hand() -> None:
    found = residuals("only", [0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1.0])
    assert quantiles(found, (0.5, 0.9, 1.0)) == (0.5, 0.9, 1.0)


def test_sources_weigh_alike_however_many_runs_they_have() -> None:
    many = residuals("many", [0.1] * 1000)
    few = residuals("few", [0.4] * 10)
    assert quantiles([*many, *few], (0.45, 0.55)) == (0.1, 0.4)


def test_a_source_of_one_run_weighs_an_eighth() -> None:
    # Of 9/8 in all: the single run is the last 1/9.
    found = [*residuals("eight", [0.1] * 8), *residuals("one", [0.5])]
    assert quantiles(found, (0.88, 0.9)) == (0.1, 0.5)


def test_each_class_learns_from_its_own_runs() -> None:
    ledger = learnt(everywhere(lambda knowledge, layout: 0.1 + 0.1 * LAYOUTS.index(layout)))
    for layout, width in zip(LAYOUTS, (0.1, 0.2, 0.3), strict=True):
        found = ledger.error_class(Closeness(knowledge="studied", layout=layout))
        assert found.log_ratios == pytest.approx((width * 8 / 15, width * 14 / 15))
        assert (found.num_runs, found.num_sources, found.is_stand_in) == (30, 2, False)


def test_to_know_less_never_narrows() -> None:
    shuffled = random.Random(0)
    ledger = learnt(everywhere(lambda knowledge, layout: shuffled.uniform(0.01, 1.0)))
    for layout in LAYOUTS:
        ratios = {
            each.closeness.knowledge: each.log_ratios for each in ledger.classes if each.closeness.layout == layout
        }
        for near, far in (
            ("studied", "new_gpu"),
            ("studied", "new_framework"),
            ("new_gpu", "new_gpu_and_framework"),
            ("new_framework", "new_gpu_and_framework"),
            ("new_gpu_and_framework", "zones"),
            ("calibrated", "zones"),
        ):
            assert all(a <= b for a, b in zip(ratios[near], ratios[far], strict=True)), (layout, near, far)


def test_a_class_with_few_runs_takes_those_of_all_layouts() -> None:
    found = [each for each in everywhere() if each.closeness != STUDIED]
    few = learnt([*found, *residuals("first", [5.0] * 3)]).error_class(STUDIED)
    assert few.is_stand_in
    assert few.num_runs == 3
    assert few.log_ratios[0] < 0.1
    one_source = learnt([*found, *residuals("first", [5.0] * 100)]).error_class(STUDIED)
    assert one_source.is_stand_in


def test_knowledge_without_a_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="no run to learn"):
        learnt([each for each in everywhere() if each.closeness.knowledge != "new_gpu"])


def test_a_ledger_is_written_and_read_back() -> None:
    ledger = learnt(everywhere(lambda knowledge, layout: 0.15))
    back = read_ledger(ledger_toml(ledger))
    assert ledger_toml(back) == ledger_toml(ledger)
    assert (back.gpu_generations, back.frameworks, back.date) == (("Ampere",), ("megatron",), "2026-11-21")
    assert [each.closeness for each in back.classes] == [each.closeness for each in ledger.classes]
    for before, after in zip(ledger.classes, back.classes, strict=True):
        assert after.log_ratios == pytest.approx(before.log_ratios, abs=5e-5)
