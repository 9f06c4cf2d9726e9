"""Calibration files: written, read back, refused, and applied to a problem."""

import json

import pytest

from crosszone.core.calibration import Calibration, MeasuredShares
from crosszone.errors import SpecError
from crosszone.spec import read_job
from crosszone.verify.calibration_file import apply, calibrations_json, read_calibrations

OWN = Calibration(
    gpu="a100-sxm4-80gb",
    compute_seconds_ratio=1.3,
    num_runs=2,
    source="runs.csv",
    date="2026-11-21",
    frameworks=("megatron",),
    spread_fraction=0.05,
)
OTHER = Calibration(gpu="h100-sxm5-80gb", compute_seconds_ratio=0.9, num_runs=1, source="runs.csv")
TIMED = Calibration(
    gpu="h100-sxm5-80gb",
    compute_seconds_ratio=1.0,
    num_runs=0,
    source="kernels timed on NVIDIA H100 80GB HBM3 with torch 2.13.0",
    date="2026-11-21",
    efficiency=MeasuredShares(gemm_fraction=0.71, gemm_overhead_depth=260.0),
)


def text_of(*calibrations: Calibration) -> str:
    return json.dumps(calibrations_json(calibrations))


def job(gpu: str = "a100-sxm4-80gb", framework: str | None = "megatron"):
    value = {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 4096, "global_batch_size": 64},
        "cluster": {"zones": [{"name": "home", "nodes": [{"count": 1, "gpu": gpu, "gpus_per_node": 8}]}]},
    }
    return read_job({**value, **({"framework": {"name": framework}} if framework else {})})


def test_what_is_written_is_read_back() -> None:
    assert read_calibrations(text_of(OWN, OTHER), where="cal.json") == (OWN, OTHER)
    assert read_calibrations(text_of(OWN, TIMED), where="cal.json") == (OWN, TIMED)


def test_a_whole_number_is_a_ratio_too() -> None:
    value = calibrations_json([OWN])
    value["calibrations"][0]["compute_seconds_ratio"] = 1
    assert read_calibrations(json.dumps(value), where="f")[0].compute_seconds_ratio == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is not JSON"),
        ("[]", 'no list "calibrations"'),
        ('{"schema_version": 1, "calibrations": []}', 'no list "calibrations"'),
        ('{"schema_version": 7, "calibrations": [{}]}', "schema_version is 7"),
        ('{"schema_version": 1, "calibrations": [3]}', "not a calibration"),
    ],
)
def test_what_is_no_calibration_file_is_refused(text, message) -> None:
    with pytest.raises(SpecError, match=message):
        read_calibrations(text, where="cal.json")


def test_everything_wrong_is_told_at_once_with_its_place() -> None:
    value = calibrations_json([OWN, OTHER])
    value["calibrations"][0] |= {"gpu": "a100-sxm4-81gb", "compute_seconds_ratio": 9.0}
    value["calibrations"][1] |= {"num_runs": 0, "gpus": 1}
    with pytest.raises(SpecError) as caught:
        read_calibrations(json.dumps(value), where="cal.json")
    found = [(finding.where, finding.message) for finding in caught.value.findings]
    assert ("cal.json[0]", "compute_seconds_ratio is 9.0; it must be a number from 0.2 to 5.") in found
    assert ("cal.json[0]", 'the catalog has no GPU "a100-sxm4-81gb".') in found
    assert ("cal.json[1]", "num_runs is 0; it must be a count of runs.") in found
    assert ("cal.json[1]", 'unknown key "gpus".') in found


def test_a_file_from_before_gpus_were_timed_is_read() -> None:
    value = calibrations_json([OWN])
    del value["calibrations"][0]["efficiency"]
    assert read_calibrations(json.dumps(value), where="f") == (OWN,)


def test_shares_that_cannot_be_are_told_all_at_once() -> None:
    value = calibrations_json([TIMED, OWN])
    value["calibrations"][0]["efficiency"] |= {"gemm_fraction": 1.7, "memory_fraction": "0.9", "gem_fraction": 0.5}
    value["calibrations"][1]["efficiency"] = 0.7
    with pytest.raises(SpecError) as caught:
        read_calibrations(json.dumps(value), where="cal.json")
    assert [(finding.where, finding.message) for finding in caught.value.findings] == [
        ("cal.json[0]", 'efficiency has no "gem_fraction".'),
        ("cal.json[0]", "efficiency.gemm_fraction is 1.7; it must be a number from 0.02 to 1.2."),
        ("cal.json[0]", 'efficiency.memory_fraction is "0.9"; it must be a number from 0.05 to 1.1.'),
        ("cal.json[1]", "efficiency is not an object of shares."),
    ]


def test_no_runs_and_no_shares_is_no_calibration() -> None:
    value = calibrations_json([TIMED])
    value["calibrations"][0]["efficiency"] = None
    with pytest.raises(SpecError, match="num_runs is 0"):
        read_calibrations(json.dumps(value), where="cal.json")


def test_a_problem_says_which_shares_were_timed() -> None:
    found = apply(job(gpu="h100-sxm5-80gb"), [TIMED])
    (assumed,) = [notice.message for notice in found.assumed if notice.where == "calibration"]
    assert assumed == (
        "h100-sxm5-80gb has gemm_fraction 0.71, gemm_overhead_depth 260, not the catalog's shares: "
        "kernels timed on NVIDIA H100 80GB HBM3 with torch 2.13.0 on 2026-11-21."
    )


def test_one_gpu_twice_is_refused() -> None:
    with pytest.raises(SpecError, match="a100-sxm4-80gb is there 2 times"):
        read_calibrations(text_of(OWN, OWN), where="cal.json")


def test_a_problem_takes_those_of_its_gpus_and_warns_of_the_rest() -> None:
    found = apply(job(), [OWN, OTHER])
    assert found.calibrations == (OWN,)
    (assumed,) = [notice.message for notice in found.assumed if notice.where == "calibration"]
    assert "1.300 times" in assumed
    assert "2 runs of runs.csv" in assumed
    assert "2026-11-21" in assumed
    (warning,) = [notice.message for notice in found.warnings if notice.where == "calibration"]
    assert warning == "that of h100-sxm5-80gb is not used: no such GPU is here."


def test_one_run_is_one_run() -> None:
    found = apply(job(gpu="h100-sxm5-80gb"), [OTHER])
    assert any("as 1 run of runs.csv" in notice.message for notice in found.assumed)


def test_another_framework_is_a_warning() -> None:
    found = apply(job(framework="fsdp"), [OWN])
    assert [notice.message for notice in found.warnings] == [
        "that of a100-sxm4-80gb was learnt with megatron; the job names fsdp."
    ]


def test_a_gpu_without_one_is_named_beside_a_gpu_with_one() -> None:
    mixed = read_job(
        {
            "model": "llama-2-7b",
            "workload": {"sequence_length": 4096, "global_batch_size": 64},
            "cluster": {
                "zones": [
                    {"name": name, "nodes": [{"count": 1, "gpu": gpu, "gpus_per_node": 8}]}
                    for name, gpu in (("north", "a100-sxm4-80gb"), ("south", "h100-sxm5-80gb"))
                ],
                "default_link": {"bandwidth": "10 Gbit/s", "rtt": "20 ms"},
            },
        }
    )
    warnings = [notice.message for notice in apply(mixed, [OWN]).warnings if notice.where == "calibration"]
    assert warnings == ["there is none of h100-sxm5-80gb: predicted without."]
