"""`crosszone catalog`: facts with their sources."""

import pytest


def test_list_names_what_a_job_file_can_name(run) -> None:
    text = run("catalog", "gpus").out
    (a100,) = [line for line in text.splitlines() if "a100-sxm4-80gb" in line]
    assert "85 GB" in a100
    assert "312 TFLOP/s" in a100
    assert max(len(line) for line in text.splitlines()) <= 80


def test_rate_that_the_hardware_lacks_is_none_and_not_unknown(run) -> None:
    (v100,) = [line for line in run("catalog", "gpus").out.splitlines() if "v100-sxm2-16gb" in line]
    assert "none" in v100
    assert "unknown" not in v100


def test_one_gpu_shows_every_fact_with_its_source(run) -> None:
    text = run("catalog", "gpus", "a100-sxm4-80gb").out
    assert "memory_bytes_per_second" in text
    assert "2.04 TB/s" in text
    assert "Sources" in text
    assert "https://" in text


def test_alias_finds_the_full_name(run) -> None:
    assert run("catalog", "gpus", "a100", "--json").json["gpus"][0]["name"] == "a100-sxm4-80gb"


def test_json_has_base_units_and_sources(run) -> None:
    value = run("catalog", "gpus", "a100-sxm4-80gb", "--json").json
    assert value["schema_version"] == 1
    (gpu,) = value["gpus"]
    assert gpu["memory_bytes_per_second"] == 2.039e12
    assert gpu["peak_flop_per_second"]["bf16"] == 312e12
    assert all(fact["source"] and fact["retrieved"] for fact in gpu["facts"])


def test_regions_of_one_provider_or_one_region(run) -> None:
    everywhere = {region["name"] for region in run("catalog", "regions", "--json").json["regions"]}
    google = {region["name"] for region in run("catalog", "regions", "gcp", "--json").json["regions"]}
    assert google == {name for name in everywhere if name.startswith("gcp:")}
    assert "Council Bluffs" in run("catalog", "regions", "gcp:us-central1").out


@pytest.mark.parametrize(
    ("kind", "name", "nearest"),
    [("gpus", "a100-sxm4-80g", "a100-sxm4-80gb"), ("regions", "shanghai", "alibaba:cn-shanghai")],
)
def test_unknown_names_get_the_nearest(run, kind, name, nearest) -> None:
    result = run("catalog", kind, name, "--json")
    assert result.code == 2
    (error,) = result.json["errors"]
    assert error["code"] == "unknown_name"
    assert nearest in error["hint"]


@pytest.mark.parametrize(
    ("kind", "place", "unit"),
    [
        ("prices", "gcp", "dollars_per_hour"),
        ("egress", "aws", "dollars_per_byte"),
        ("links", "aws:us-east-1", "rtt_seconds"),
    ],
)
def test_figures_of_a_place_have_unit_source_and_date(run, kind, place, unit) -> None:
    here = run("catalog", kind, place, "--json").json[kind]
    assert here
    assert {entry["place"] for entry in here} == {place}
    assert all(entry[unit] >= 0 and entry["source"] and entry["date"] for entry in here)
    everywhere = run("catalog", kind, "--json").json[kind]
    names = [entry["name"] for entry in everywhere]
    assert len(set(names)) == len(names) > len(here)
    assert run("catalog", kind, "huawei:cn-north-4", "--json").json[kind] == []
    assert run("catalog", kind, "nowhere").code == 2


@pytest.mark.parametrize("kind", ["gpus", "models", "regions", "frameworks"])
def test_every_kind_lists_and_every_entry_shows(run, kind) -> None:
    entries = run("catalog", kind, "--json").json[kind]
    assert entries
    assert run("catalog", kind).code == 0
    for entry in entries[:: max(1, len(entries) // 5)]:
        shown = run("catalog", kind, entry["name"])
        assert shown.code == 0
        assert shown.out.startswith(entry["name"])
