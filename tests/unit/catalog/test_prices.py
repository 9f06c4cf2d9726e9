"""Prices: published figures come back as published; what no source prints is None and never zero."""

import csv
from importlib import resources

import pytest

from crosszone.catalog import prices, regions

FOLDER = resources.files("crosszone.catalog").joinpath("data/providers")
PER_BILLION_BYTES = 1e-9


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(FOLDER.joinpath(f"{table}.csv").read_text(encoding="utf-8").splitlines()))


# --- egress


@pytest.mark.parametrize(
    ("start", "end", "dollars", "date"),
    [
        # Skyplane grid of February 2023.
        ("aws:us-east-1", "aws:us-east-2", 0.01, "2023-02-06"),
        ("aws:us-east-1", "aws:us-west-2", 0.02, "2023-02-06"),
        ("azure:eastus", "azure:westus2", 0.02, "2023-02-06"),
        ("azure:eastus", "azure:koreacentral", 0.05, "2023-02-06"),
        ("gcp:us-central1", "gcp:asia-east1", 0.08, "2023-02-06"),
        ("gcp:us-central1", "gcp:asia-southeast2", 0.15, "2023-02-06"),
        ("gcp:us-west1", "aws:us-west-2", 0.12, "2023-02-06"),
        # Sailor's inputs are later, and GCP's price had doubled: the later one counts.
        ("gcp:us-central1", "gcp:us-west1", 0.02, "2025"),
        ("gcp:us-east4", "gcp:europe-west3", 0.05, "2025"),
        # The AWS table of December 2022, where the grid has no such pair.
        ("aws:us-gov-east-1", "aws:af-south-1", 0.03, "2022-12"),
    ],
)
def test_published_prices_of_a_pair(start: str, end: str, dollars: float, date: str) -> None:
    fact = prices.egress(start, end)
    assert fact is not None
    assert (fact.value, fact.unit) == (pytest.approx(dollars * PER_BILLION_BYTES), "dollars_per_byte")
    assert fact.date == date
    assert "http" in fact.source


def test_the_sender_pays() -> None:
    from_sydney = prices.egress("aws:ap-southeast-2", "aws:us-east-1")
    to_sydney = prices.egress("aws:us-east-1", "aws:ap-southeast-2")
    assert from_sydney is not None
    assert to_sydney is not None
    assert from_sydney.value == pytest.approx(0.098 * PER_BILLION_BYTES)
    assert to_sydney.value == pytest.approx(0.02 * PER_BILLION_BYTES)


@pytest.mark.parametrize(
    ("start", "end", "dollars"),
    [
        ("aws:us-east-1", "gcp:us-central1", 0.09),
        ("aws:us-east-1", "alibaba:cn-beijing", 0.09),
        ("aws:sa-east-1", "azure:eastus", 0.15),
        ("azure:eastus", "aws:us-east-1", 0.0875),
        ("azure:brazilsouth", "gcp:us-east1", 0.181),
    ],
)
def test_another_provider_is_reached_at_the_price_to_the_internet(start: str, end: str, dollars: float) -> None:
    fact = prices.egress(start, end)
    assert fact is not None
    assert fact.value == pytest.approx(dollars * PER_BILLION_BYTES)
    assert fact.note.startswith("To the internet")


def test_the_price_to_the_internet_is_not_used_inside_a_provider() -> None:
    assert prices.egress("aws:us-east-1", "internet") is not None
    assert prices.egress("aws:us-east-1", "aws:ca-west-1") is None


@pytest.mark.parametrize(
    ("region", "dollars"), [("gcp:us-central1", 0.01), ("aws:us-west-2", 0.01), ("azure:eastus", 0.0)]
)
def test_between_zones_of_one_region(region: str, dollars: float) -> None:
    fact = prices.egress(region, region)
    assert fact is not None
    assert fact.value == pytest.approx(dollars * PER_BILLION_BYTES)
    assert fact.note.startswith("Between zones of one region")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("alibaba:cn-beijing", "alibaba:cn-shanghai"),
        ("alibaba:cn-beijing", "alibaba:cn-beijing"),
        ("tencent:ap-beijing", "aws:us-east-1"),
        ("huawei:cn-north-4", "gcp:us-central1"),
        ("gcp:us-central1", "alibaba:cn-beijing"),
        ("gcp:asia-northeast1", "gcp:us-central1"),
        ("my-own-cluster", "aws:us-east-1"),
        ("my-own-cluster", "my-own-cluster"),
        ("", ""),
    ],
)
def test_a_price_that_no_source_prints_is_none(start: str, end: str) -> None:
    assert prices.egress(start, end) is None


def test_the_only_free_egress_is_one_that_a_source_prints_as_free() -> None:
    free = [(row["from"], row["to"]) for row in rows_of("egress_prices") if float(row["dollars_per_byte"]) == 0]
    assert free == [("azure", "azure")]


def test_egress_prices_name_catalogued_regions_once_and_are_per_byte() -> None:
    rows = rows_of("egress_prices")
    pairs = [(row["from"], row["to"]) for row in rows]
    assert len(set(pairs)) == len(pairs)
    ends = {end for pair in pairs for end in pair} - {"internet", *regions.providers()}
    assert [end for end in ends if regions.region(end) is None] == []
    # Per GB by mistake would be a billion times more.
    assert all(float(row["dollars_per_byte"]) < 0.2 * PER_BILLION_BYTES for row in rows)


# --- GPUs


@pytest.mark.parametrize(
    ("place", "gpu", "preemptible", "dollars"),
    [
        ("gcp:us-central1", "a100-sxm4-40gb", False, 3.67339),
        ("gcp:us-central1", "v100-sxm2-16gb", False, 2.86),
        ("gcp:us-east5", "a100-sxm4-80gb", False, 5.5238),
        ("gcp:us-east5", "a100-sxm4-80gb", True, 1.6475),
        ("gcp:us-east4", "h100-sxm5-80gb", False, 10.9791),
        ("gcp:us-east4", "h100-sxm5-80gb", True, 2.5056),
        ("lambda", "rtx-a6000-48gb", False, 1.09),
        ("aws", "t4-16gb", True, 0.395),
        ("azure", "t4-16gb", False, 0.489),
    ],
)
def test_published_gpu_prices(place: str, gpu: str, preemptible: bool, dollars: float) -> None:
    fact = prices.gpu_price(place, gpu, preemptible)
    assert fact is not None
    assert (fact.value, fact.unit) == (pytest.approx(dollars), "dollars_per_hour")
    assert fact.source
    assert fact.date


def test_on_demand_is_the_default() -> None:
    assert prices.gpu_price("gcp:us-east4", "h100-sxm5-80gb") == prices.gpu_price(
        "gcp:us-east4", "h100-sxm5-80gb", preemptible=False
    )


@pytest.mark.parametrize(
    ("place", "gpu", "preemptible"),
    [
        ("alibaba:cn-beijing", "a100-sxm4-80gb", False),
        ("tencent", "a100-sxm4-40gb", False),
        ("huawei", "ascend-910b", False),
        ("aws", "h100-sxm5-80gb", False),
        ("azure:eastus", "h100-sxm5-80gb", True),
        ("gcp:us-west2", "h100-sxm5-80gb", False),
        ("gcp:us-central1", "a100-sxm4-40gb", True),
        # Left out: the source's spot price exceeds its on-demand price there.
        ("gcp:us-central1", "a100-sxm4-80gb", False),
        ("gcp:europe-west4", "a100-sxm4-80gb", False),
        # Left out: the source has no price of the machine around it.
        ("gcp", "b200-sxm-180gb", False),
        # Left out: a placeholder of the source.
        ("gcp", "gh200-96gb", False),
        # A price of the provider is not a price of each of its regions.
        ("aws:us-west-2", "t4-16gb", False),
    ],
)
def test_an_unknown_gpu_price_is_none(place: str, gpu: str, preemptible: bool) -> None:
    assert prices.gpu_price(place, gpu, preemptible) is None


def test_a_provider_has_the_median_of_its_regions_with_their_range() -> None:
    fact = prices.gpu_price("gcp", "a100-sxm4-80gb")
    assert fact is not None
    # us-east4 3.3177, us-east5 5.5238, asia-southeast1 6.2025
    assert fact.value == pytest.approx(5.5238)
    assert fact.note == "Median of 3 regions, from 3.3177 to 6.2025 dollars per hour."


def test_a_doubtful_price_says_so() -> None:
    doubtful, sound = (
        prices.gpu_price("gcp:us-central1", "h100-sxm5-80gb"),
        prices.gpu_price("gcp:us-east4", "h100-sxm5-80gb"),
    )
    assert doubtful is not None
    assert sound is not None
    assert "check the provider page" in doubtful.note
    assert "check" not in sound.note


def test_preemptible_is_cheaper_wherever_both_are_known() -> None:
    table = {(row["place"], row["gpu"], row["kind"]): float(row["dollars_per_hour"]) for row in rows_of("gpu_prices")}
    both = [(place, gpu) for place, gpu, kind in table if kind == "preemptible" and (place, gpu, "on_demand") in table]
    assert len(both) > 20
    for place, gpu in both:
        assert table[place, gpu, "preemptible"] < table[place, gpu, "on_demand"]


def test_gpu_prices_are_unique_and_positive() -> None:
    rows = rows_of("gpu_prices")
    keys = [(row["place"], row["gpu"], row["kind"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(float(row["dollars_per_hour"]) > 0.1 for row in rows)
    assert {row["kind"] for row in rows} == {"on_demand", "preemptible"}
    places = {row["place"] for row in rows if ":" in row["place"]}
    assert [place for place in places if regions.region(place) is None] == []
