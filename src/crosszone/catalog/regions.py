"""Regions of the cloud providers: where they are. `data/providers/NAME.toml` is the provider NAME.

A region is written `provider:code`, as `alibaba:cn-beijing` or `gcp:us-central1`. Coordinates are those of the named
city; providers do not publish where their buildings stand.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from crosszone.catalog.facts import PROVIDERS_FOLDER
from crosszone.errors import nearest

# Mean radius of the Earth, (2a + b)/3 of the WGS 84 ellipsoid: Moritz, Geodetic Reference System 1980, table of
# derived constants. A sphere of it is within 0.6 % of the ellipsoid over any distance.
EARTH_RADIUS_METERS = 6_371_008.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of one provider."""

    provider: str
    """Catalog name of the provider: `aws`, `gcp`, `azure`, `alibaba`, `tencent`, `huawei`."""
    code: str
    """The provider's own name of the region."""
    place: str
    """City and country, in English."""
    latitude_degrees: float
    """North is positive."""
    longitude_degrees: float
    """East is positive."""
    continent: str
    """africa, asia, europe, middle-east, north-america, oceania or south-america."""
    source: str
    """Where code, city and coordinates come from."""
    date: str
    """The day the list was written, ISO 8601."""

    @property
    def reference(self) -> str:
        """How a job file names it: `provider:code`."""
        return f"{self.provider}:{self.code}"


def providers() -> tuple[str, ...]:
    """Catalog names of the providers, in alphabetical order."""
    folder = resources.files("crosszone.catalog").joinpath(PROVIDERS_FOLDER)
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def regions(provider: str | None = None) -> tuple[Region, ...]:
    """Every region of `provider` (of all, where it is None), in the order of its file; empty if it is not known."""
    names = providers() if provider is None else tuple(name for name in providers() if name == provider)
    return tuple(found for name in names for found in _regions_of(name).values())


def region(reference: str) -> Region | None:
    """The region that `provider:code` names, or None. Reads that provider's file only."""
    provider, _, code = reference.partition(":")
    return _regions_of(provider).get(code) if provider in providers() else None


def nearest_names(reference: str) -> tuple[str, ...]:
    """Up to three references that `reference` may have meant, the likeliest first; empty if nothing is like it.

    A code without its provider, or a city, finds the regions of that name; those of a provider before the colon come
    first.
    """
    provider, _, code = reference.lower().rpartition(":")
    everywhere = sorted(regions(), key=lambda found: found.provider != provider)
    same = [found.reference for found in everywhere if code in (found.code, found.place.split(",")[0].lower())]
    alike = nearest(reference, [found.reference for found in everywhere])
    return tuple(dict.fromkeys([*same, *alike]))[:3]


def great_circle_meters(
    latitude_a_degrees: float, longitude_a_degrees: float, latitude_b_degrees: float, longitude_b_degrees: float
) -> float:
    """Shortest way over the surface between two points, in meters.

    With latitudes p, longitudes l in radians and the Earth's radius R (haversine formula):
        h = sin²((p2 - p1)/2) + cos p1 · cos p2 · sin²((l2 - l1)/2);   distance = 2 R asin(√h)

    Assumes a sphere: within 0.6 %. Source: Sinnott 1984, Virtues of the haversine, Sky and Telescope 68(2).
    """
    latitude_a, latitude_b = math.radians(latitude_a_degrees), math.radians(latitude_b_degrees)
    half_longitude = math.radians(longitude_b_degrees - longitude_a_degrees) / 2
    haversine = (
        math.sin((latitude_b - latitude_a) / 2) ** 2
        + math.cos(latitude_a) * math.cos(latitude_b) * math.sin(half_longitude) ** 2
    )
    # Rounding can lift the haversine of two antipodes above 1.
    return 2 * EARTH_RADIUS_METERS * math.asin(math.sqrt(min(1.0, haversine)))


@cache
def _regions_of(provider: str) -> dict[str, Region]:
    document = _document(provider)
    common = {"provider": provider, "source": document["source"], "date": document["date"].isoformat()}
    return {code: Region(code=code, **entry, **common) for code, entry in document["regions"].items()}


def _document(provider: str) -> dict[str, Any]:
    file = resources.files("crosszone.catalog").joinpath(PROVIDERS_FOLDER, f"{provider}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))
