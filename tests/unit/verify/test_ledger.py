"""Learning ranges from errors: quantiles by hand, and what never narrows."""

import math
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
        for knowledge in KNOWLEDGE
        for layout in LAYOUTS[:-1]
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


def test_a_source_weighs_as_the_square_root_of_its_runs() -> None:
    # 400 runs weigh 20 and 25 runs weigh 5: the small source holds the last fifth.
    found = [*residuals("many", [0.1] * 400), *residuals("few", [0.4] * 25)]
    assert quantiles(found, (0.79, 0.81)) == (0.1, 0.4)


def test_each_class_learns_from_its_own_runs() -> None:
    ledger = learnt(everywhere(lambda knowledge, layout: 0.1 + 0.1 * LAYOUTS.index(layout)))
    for layout, width in zip(LAYOUTS[:-1], (0.1, 0.2, 0.3), strict=True):
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
        ):
            assert all(a <= b for a, b in zip(ratios[near], ratios[far], strict=True)), (layout, near, far)


def test_no_range_is_wider_than_a_factor_of_three() -> None:
    ledger = learnt(everywhere(lambda knowledge, layout: 5.0))
    assert all(each.log_ratios[-1] == pytest.approx(math.log(3.0)) for each in ledger.classes)


def test_across_zones_the_widest_layout_stands_in() -> None:
    ledger = learnt(everywhere(lambda knowledge, layout: {"one_fabric": 0.1, "pipeline_across": 0.5}.get(layout, 0.2)))
    for knowledge in KNOWLEDGE:
        across = ledger.error_class(Closeness(knowledge=knowledge, layout="zones"))
        widest = ledger.error_class(Closeness(knowledge=knowledge, layout="pipeline_across"))
        assert across.log_ratios == widest.log_ratios
        assert (across.num_runs, across.is_stand_in) == (0, True)


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
