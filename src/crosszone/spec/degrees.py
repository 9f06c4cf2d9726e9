"""Parallel degrees against the GPUs: how many ranks a plan has, and which degrees near it are legal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product

AXES = ("tp", "cp", "pp", "dp")
MAX_NEIGHBOURS = 3


def divisors(number: int) -> tuple[int, ...]:
    """Every divisor of `number`, 1 and itself included, ascending."""
    low = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return tuple(sorted({*low, *(number // divisor for divisor in low)}))


def nearest_values(wanted: float, legal: Iterable[int]) -> tuple[int, ...]:
    """Up to three of `legal` with the smallest ratio to `wanted`, ascending."""
    by_ratio = sorted(legal, key=lambda value: (abs(math.log(value / wanted)), value))
    return tuple(sorted(by_ratio[:MAX_NEIGHBOURS]))


def product_text(degrees: Mapping[str, int]) -> str:
    """ "tp*pp*dp = 8*4*2 = 64"."""
    given = [axis for axis in AXES if axis in degrees]
    names, values = "*".join(given), "*".join(str(degrees[axis]) for axis in given)
    total = math.prod(degrees[axis] for axis in given)
    return f"{names} = {values} = {total}" if len(given) > 1 else f"{names} = {total}"


def legal_degrees(
    degrees: Mapping[str, int],
    *,
    num_gpus: int,
    tp_divides: Iterable[int],
    half_sequence: int,
    num_layers: int | None,
    max_replicas: int,
) -> tuple[dict[str, int], ...]:
    """Up to three sets of degrees whose product is `num_gpus`, the ones nearest to `degrees` first.

    `tp` divides each number of `tp_divides` (GPUs of each node, heads), `cp` divides `half_sequence`, `pp` is at most
    `num_layers` and `dp` at most `max_replicas`. Near is a small sum of |log(degree / wanted)|.
    """
    wanted = {axis: degrees.get(axis, 1) for axis in AXES}
    tps = divisors(math.gcd(num_gpus, *tp_divides))
    # Context parallelism is proposed only to those who asked for it: it is a means for long sequences.
    cps = divisors(math.gcd(num_gpus, half_sequence)) if wanted["cp"] > 1 else (1,)
    found = []
    for tp, cp in product(tps, cps):
        if num_gpus % (tp * cp):
            continue
        rest = num_gpus // (tp * cp)
        found += [
            {"tp": tp, "cp": cp, "pp": pp, "dp": rest // pp}
            for pp in divisors(rest)
            if pp <= (num_layers or pp) and rest // pp <= max_replicas
        ]
    found.sort(key=lambda one: (sum(abs(math.log(one[axis] / wanted[axis])) for axis in AXES), -one["tp"]))
    return tuple(found[:MAX_NEIGHBOURS])
