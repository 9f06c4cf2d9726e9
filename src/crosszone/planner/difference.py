"""Two plans side by side: which terms make the difference of their steps."""

from crosszone import units
from crosszone.core.explanation import Difference, TermDifference
from crosszone.core.prediction import Prediction
from crosszone.planner.limits import total_dollars

NUM_TOLD = 3
"""Terms that the sentence names."""
LEAST_FRACTION = 0.005
"""Share of the base's step below which a term is not worth naming."""


def difference(base: Prediction, other: Prediction) -> Difference:
    """What `other` has more than `base`."""
    terms = _terms(base, other)
    dollars = total_dollars(base), total_dollars(other)
    finishes = base.finish.p50_seconds, other.finish.p50_seconds
    return Difference(
        step_seconds=other.step_seconds - base.step_seconds,
        step_ratio=other.step_seconds / base.step_seconds,
        p50_seconds=_minus(finishes[1], finishes[0]),
        total_dollars=_minus(dollars[1], dollars[0]),
        peak_bytes=other.memory.peak_bytes - base.memory.peak_bytes,
        zone_link_bytes=_sent(other) - _sent(base),
        terms=terms,
        message=_sentence(base, other, terms),
    )


def _terms(base: Prediction, other: Prediction) -> tuple[TermDifference, ...]:
    sides = [{term.name: term.exposed_seconds for term in one.terms} for one in (base, other)]
    found = [
        TermDifference(
            name=name,
            base_seconds=sides[0].get(name, 0.0),
            other_seconds=sides[1].get(name, 0.0),
            difference_seconds=sides[1].get(name, 0.0) - sides[0].get(name, 0.0),
        )
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    return tuple(sorted(found, key=lambda term: -abs(term.difference_seconds)))


def _sentence(base: Prediction, other: Prediction, terms: tuple[TermDifference, ...]) -> str:
    more = other.step_seconds - base.step_seconds
    notable = [term for term in terms if abs(term.difference_seconds) > LEAST_FRACTION * base.step_seconds][:NUM_TOLD]
    if not notable:
        return f"It takes as long within {units.format_fraction(LEAST_FRACTION)}."
    share = units.format_fraction(abs(more) / base.step_seconds)
    parts = [f"{term.name.replace('_', ' ')} {_signed(term.difference_seconds)}" for term in notable]
    word = "more" if more >= 0.0 else "less"
    return f"It takes {_size(more)} {word} a step ({share}): {', '.join(parts)}."


def _signed(seconds: float) -> str:
    return f"{'+' if seconds >= 0.0 else '-'}{_size(seconds)}"


def _size(seconds: float) -> str:
    return units.format_seconds(abs(seconds))


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _sent(prediction: Prediction) -> float:
    return sum(link.step_bytes for link in prediction.links)
