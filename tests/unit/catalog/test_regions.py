"""Regions: every provider's list is sane, references resolve, and the sphere is right."""

import math
import tomllib
from importlib import resources

import pytest

from crosszone.catalog import regions

CONTINENTS = {"africa", "asia", "europe", "middle-east", "north-america", "oceania", "south-america"}

# Rough boxes (south, north, west, east) that catch a swapped pair or a lost sign; Europe reaches to Istanbul.
BOXES = {
    "africa": (-35, 38, -18, 52),
    "asia": (-12, 55, 60, 150),
    "europe": (35, 71, -25, 45),
    "middle-east": (12, 42, 30, 60),
    "north-america": (14, 72, -170, -52),
    "oceania": (-48, 0, 110, 180),
    "south-america": (-56, 13, -82, -34),
}


def test_the_six_providers_are_found_by_their_files() -> None:
    assert regions.providers() == ("alibaba", "aws", "azure", "gcp", "huawei", "tencent")


@pytest.mark.parametrize(
    ("reference", "place", "latitude", "longitude"),
    [
        ("alibaba:cn-beijing", "Beijing", 39.9, 116.4),
        ("alibaba:cn-shanghai", "Shanghai", 31.2, 121.5),
        ("alibaba:cn-shenzhen", "Shenzhen", 22.5, 114.1),
        ("tencent:ap-guangzhou", "Guangzhou", 23.1, 113.3),
        ("huawei:cn-southwest-2", "Guiyang", 26.6, 106.6),
        ("gcp:us-central1", "Council Bluffs", 41.3, -95.9),
        ("aws:us-east-1", "Ashburn", 39.0, -77.5),
        ("azure:australiaeast", "Sydney", -33.9, 151.2),
        ("aws:sa-east-1", "Sao Paulo", -23.5, -46.6),
    ],
)
def test_known_regions_stand_where_they_should(reference: str, place: str, latitude: float, longitude: float) -> None:
    found = regions.region(reference)
    assert found is not None
    assert found.place.startswith(place)
    assert found.latitude_degrees == pytest.approx(latitude, abs=0.1)
    assert found.longitude_degrees == pytest.approx(longitude, abs=0.1)
    assert found.reference == reference


def test_every_region_is_complete_and_inside_its_continent() -> None:
    for found in regions.regions():
        south, north, west, east = BOXES[found.continent]
        assert south <= found.latitude_degrees <= north, found
        assert west <= found.longitude_degrees <= east, found
        assert found.place, found
        assert found.source, found
        assert found.date == "2026-11-20"
    assert {found.continent for found in regions.regions()} == CONTINENTS


def test_references_are_unique_and_resolve_to_themselves() -> None:
    everywhere = regions.regions()
    references = [found.reference for found in everywhere]
    assert len(set(references)) == len(references)
    assert all(regions.region(found.reference) == found for found in everywhere)
    assert sum(len(regions.regions(provider)) for provider in regions.providers()) == len(everywhere)


def test_a_city_has_one_pair_of_coordinates_at_every_provider() -> None:
    places: dict[str, set[tuple[float, float]]] = {}
    for found in regions.regions():
        places.setdefault(found.place, set()).add((found.latitude_degrees, found.longitude_degrees))
    assert {place: points for place, points in places.items() if len(points) > 1} == {}


def test_the_mainland_chinese_regions_of_the_examples_are_there() -> None:
    chinese = {found.code for found in regions.regions("alibaba") if found.place.endswith(", China")}
    assert {"cn-beijing", "cn-shanghai", "cn-shenzhen", "cn-hangzhou"} <= chinese
    assert len(regions.regions("tencent")) >= 15
    assert len(regions.regions("huawei")) >= 20


@pytest.mark.parametrize("reference", ["", "cn-beijing", "alibaba:", "alibaba:beijing-a", "nimbus:us-east-1", "../x:y"])
def test_a_name_that_nothing_has_is_none(reference: str) -> None:
    assert regions.region(reference) is None


def test_regions_of_an_unknown_provider_are_none() -> None:
    assert regions.regions("nimbus") == ()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("cn-beijing", "alibaba:cn-beijing"),
        ("alibaba:cn-bejing", "alibaba:cn-beijing"),
        ("gcp:us-centrall", "gcp:us-central1"),
        ("aws:eastus", "azure:eastus"),
        ("tencent:shanghai", "tencent:ap-shanghai"),
        ("AWS:us-east-1", "aws:us-east-1"),
    ],
)
def test_a_wrong_name_finds_the_one_that_was_meant(wrong: str, meant: str) -> None:
    assert meant in regions.nearest_names(wrong)


def test_nearest_names_are_few_and_none_for_nonsense() -> None:
    assert len(regions.nearest_names("singapore")) == 3
    assert regions.nearest_names("%%%%%%%%%%") == ()


@pytest.mark.parametrize(
    ("one", "other", "expected_meters"),
    [
        # A degree of latitude and the quarter of a meridian, from the radius alone.
        ((0.0, 0.0), (1.0, 0.0), 111_195),
        ((0.0, 0.0), (90.0, 0.0), 10_007_557),
        ((0.0, 179.5), (0.0, -179.5), 111_195),  # across the date line
        # Published airline distance JFK to Heathrow: 5,540 km.
        ((40.64, -73.78), (51.47, -0.45), 5_540_000),
    ],
)
def test_great_circle(one: tuple[float, float], other: tuple[float, float], expected_meters: float) -> None:
    assert regions.great_circle_meters(*one, *other) == pytest.approx(expected_meters, rel=0.002)
    assert regions.great_circle_meters(*other, *one) == pytest.approx(expected_meters, rel=0.002)


def test_great_circle_at_its_ends() -> None:
    assert regions.great_circle_meters(31.2, 121.5, 31.2, 121.5) == 0
    half_turn = math.pi * regions.EARTH_RADIUS_METERS
    assert regions.great_circle_meters(0.1, 0.0, -0.1, 180.0) == pytest.approx(half_turn)


def test_the_files_hold_nothing_that_is_not_read() -> None:
    folder = resources.files("crosszone.catalog").joinpath("data/providers")
    for provider in regions.providers():
        document = tomllib.loads(folder.joinpath(f"{provider}.toml").read_text(encoding="utf-8"))
        assert set(document) == {"display_name", "source", "date", "regions"}
