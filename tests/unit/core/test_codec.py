"""Nouns to JSON: objects where there are names, null where nothing is known, and fingerprints that follow."""

import dataclasses
import math
import pkgutil
import typing
from importlib import import_module

import numpy as np
import pytest

import crosszone.core
from crosszone.core.codec import PAIRED_FIELDS, fingerprint, to_json
from crosszone.core.plan import Sync

PAIRS_OF_ENDS = {"unreachable"}
"""Fields of (from, to) pairs: what they start with may come twice, so that they are lists in JSON."""


def test_pairs_are_an_object_and_other_tuples_a_list() -> None:
    sync = Sync(codecs=(("gradients", "int8"), ("activations", "bf16")))
    assert to_json(sync)["codecs"] == {"gradients": "int8", "activations": "bf16"}
    assert to_json(Sync())["codecs"] == {}
    assert to_json((1, (2.0, "a"))) == [1, [2.0, "a"]]


def test_every_field_of_pairs_is_on_the_list() -> None:
    found = set()
    for module in pkgutil.iter_modules(crosszone.core.__path__):
        for noun in vars(import_module(f"crosszone.core.{module.name}")).values():
            if isinstance(noun, type) and dataclasses.is_dataclass(noun):
                for name, hint in typing.get_type_hints(noun).items():
                    item = next(iter(typing.get_args(hint)), None) if typing.get_origin(hint) is tuple else None
                    parts = typing.get_args(item) if typing.get_origin(item) is tuple else ()
                    if len(parts) == 2 and parts[0] is str:
                        found.add(name)
    assert found == PAIRED_FIELDS | PAIRS_OF_ENDS


@pytest.mark.parametrize("unknown", [math.nan, math.inf, np.float64("nan"), None])
def test_what_is_not_a_number_is_null(unknown) -> None:
    assert to_json({"seconds": unknown}) == {"seconds": None}


def test_fingerprint_follows_every_value() -> None:
    plain = fingerprint(Sync(), 1.0)
    assert plain == fingerprint(Sync(), 1.0)
    assert len({plain, fingerprint(Sync(every=2), 1.0), fingerprint(Sync(codecs=(("gradients", "int8"),)), 1.0)}) == 3
