"""Span zones or not: the best plan of each side by side on time, cost and risk, and what a sentence can say of it."""

import math
from statistics import NormalDist

from crosszone import units
from crosszone.core.answer import Comparison, RankedPlan, Side
from crosszone.core.prediction import Prediction

LEVEL = 0.9
"""Of the intervals that are shown and compared."""
MOST_SURE = 0.99
"""Probabilities beyond are not told apart."""


def comparison(spanning: RankedPlan | None, alone: RankedPlan | None) -> Comparison | None:
    """Both plans as sides; None where one is missing."""
    if spanning is None or alone is None:
        return None
    return Comparison(
        spanning=_side(spanning),
        alone=_side(alone),
        faster_probability=faster_probability(spanning.prediction, alone.prediction),
    )


def faster_probability(one: Prediction, other: Prediction) -> float:
    """That `one` is done before `other`: of the whole training where its P50 is known, else of a step.

    The log of measured over predicted is taken as normal, as wide as the 90 % interval, and the errors of the two as
    independent: P = Phi(ln(other/one) / sqrt(s1^2 + s2^2)). Errors that both plans share, of one model on one kind of
    GPU, would make it surer either way.
    """
    spread = math.hypot(_log_spread(one), _log_spread(other))
    gain = math.log(_seconds(other, one) / _seconds(one, other))
    if spread == 0.0:
        return 0.5 if gain == 0.0 else float(gain > 0.0)
    return NormalDist().cdf(gain / spread)


def weighed(both: Comparison) -> str:
    """How sure it is, when both are done, and what may fail, as far as it is known: some sentences."""
    return " ".join([_probability_sentence(both), *_finish_sentences(both), *_risk_sentences(both)])


def _seconds(one: Prediction, other: Prediction) -> float:
    """What is compared of `one`: P50 of the finish where both have it."""
    p50_seconds = one.finish.p50_seconds
    return one.step_seconds if p50_seconds is None or other.finish.p50_seconds is None else p50_seconds


def _log_spread(prediction: Prediction) -> float:
    """Standard deviation of log(measured / predicted), from the interval of `LEVEL`; 0 where there is none."""
    wide = [one for one in prediction.intervals if one.level >= LEVEL]
    if not wide:
        return 0.0
    return math.log(wide[0].high_seconds / prediction.step_seconds) / NormalDist().inv_cdf((1.0 + wide[0].level) / 2.0)


def _side(one: RankedPlan) -> Side:
    prediction, costs, reliability = one.prediction, one.prediction.costs, one.prediction.reliability
    wide = [each for each in prediction.intervals if each.level >= LEVEL]
    return Side(
        zones=one.plan.zones,
        num_gpus=one.plan.world_size,
        step_seconds=prediction.step_seconds,
        low_seconds=wide[0].low_seconds if wide else prediction.step_seconds,
        high_seconds=wide[0].high_seconds if wide else prediction.step_seconds,
        train_seconds=prediction.train_seconds,
        p50_seconds=prediction.finish.p50_seconds,
        p90_seconds=prediction.finish.p90_seconds,
        goodput_fraction=prediction.goodput_fraction,
        gpu_dollars=prediction.gpu_dollars,
        idle_gpu_dollars=costs.idle_gpu_dollars if costs else None,
        overhead_dollars=costs.overhead_dollars if costs else None,
        egress_dollars=prediction.egress_dollars,
        storage_dollars=costs.storage_dollars if costs else None,
        total_dollars=costs.total_dollars if costs else None,
        energy_joules=prediction.energy_joules,
        expected_num_failures=reliability.expected_num_failures if reliability else None,
        failure_probability=reliability.failure_probability if reliability else None,
        link_failure_probability=reliability.link_failure_probability if reliability else None,
    )


def _probability_sentence(both: Comparison) -> str:
    share = both.faster_probability
    if share > MOST_SURE:
        told = f"above {units.format_fraction(MOST_SURE)}"
    elif share < 1.0 - MOST_SURE:
        told = f"below {units.format_fraction(1.0 - MOST_SURE)}"
    else:
        told = units.format_fraction(share, digits=2)
    return f"By what predictions of such plans missed, spanning is faster with a probability of {told}."


def _finish_sentences(both: Comparison) -> list[str]:
    sides = (both.spanning, both.alone)
    if any(side.p50_seconds is None for side in sides):
        return []
    p50, p90 = (
        [units.format_seconds(getattr(side, name)) for side in sides] for name in ("p50_seconds", "p90_seconds")
    )
    text = f"Failures included, spanning is done in {p50[0]} (P90 {p90[0]}), one zone in {p50[1]} (P90 {p90[1]})"
    return [f"{text}."]


def _risk_sentences(both: Comparison) -> list[str]:
    failures = [side.expected_num_failures for side in (both.spanning, both.alone)]
    if failures[0] is None or failures[1] is None:
        return []
    text = f"Spanning meets {_number(failures[0])} failures on average, one zone {_number(failures[1])}"
    zones, outage = len(both.spanning.zones), both.spanning.link_failure_probability
    if outage is None:
        return [f"{text}; outages of a whole zone or of a link between the {zones} are not in these numbers."]
    return [f"{text}; a link between its {zones} zones fails with a probability of {units.format_fraction(outage)}."]


def _number(value: float) -> str:
    """Two digits, and none left out before the point."""
    return f"{float(f'{value:.2g}'):.0f}" if value >= 10.0 else f"{value:.2g}"
