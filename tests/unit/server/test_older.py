"""Clients of CrossZoneLLM: their field names and envelopes, our checks."""

from __future__ import annotations

import hashlib
import json

import pytest

from crosszone.server.access import Access

DEPLOY, SCRIPT = "/api/deploy", "/api/generate_training_script"
REQUEST = {"regions": 2, "gpusPerRegion": [8, 8], "modelSize": 7, "batchSize": 64, "dp": 16, "pp": 1, "tp": 1}


def test_a_deployment_has_their_envelope_and_files_that_run(post):
    response = post(DEPLOY, REQUEST)
    assert response.status_code == 200
    value = response.json()
    assert value["success"] is True
    assert value["deployment_path"] is None
    files = {file["path"]: file["text"] for file in value["files"]}
    assert json.loads(files["ds_config.json"])["train_batch_size"] == 64
    assert json.loads(files["ds_config.json"])["zero_optimization"]["stage"] == 3
    assert {"hostfile", "launch/zone-0/agent-0.sh", "launch/zone-1/agent-1.sh"} <= files.keys()
    for name in ("gpu", "bandwidth", "rtt", "sequenceLength", "framework"):
        assert any(text.startswith(f"{name}: ") for text in value["assumed"]), name


def test_an_id_is_that_of_the_content(post):
    ids = [post(DEPLOY, body).json()["deployment_id"] for body in (REQUEST, dict(REQUEST), {**REQUEST, "rtt": "9 ms"})]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_what_is_written_is_not_assumed(post):
    more = {
        "gpu": "h100-sxm5-80gb",
        "bandwidth": "1 Gbit/s",
        "rtt": "9 ms",
        "sequenceLength": 4096,
        "framework": "fsdp",
    }
    value = post(DEPLOY, {**REQUEST, **more}).json()
    assert not [text for text in value["assumed"] if text.partition(":")[0] in more]
    assert "ds_config.json" not in {file["path"] for file in value["files"]}


def test_regions_of_any_size_are_nodes_of_eight_and_a_rest(post):
    body = {"regions": 2, "gpusPerRegion": [16, 8], "modelSize": 1.3, "batchSize": 48, "dp": 24, "pp": 1, "tp": 1}
    files = {file["path"]: file["text"] for file in post(DEPLOY, body).json()["files"]}
    assert [line.split()[0] for line in files["hostfile"].splitlines() if line and line[0] != "#"] == [
        "region-1-node-1",
        "region-1-node-2",
        "region-2-node-1",
    ]


def test_a_script_comes_with_what_it_needs(post):
    value = post(SCRIPT, {"modelSize": 1.3, "dp": 4, "pp": 2, "tp": 1}).json()
    assert value["success"] is True
    assert value["script"].startswith("#!/usr/bin/env python3")
    assert value["script"] in [file["text"] for file in value["files"]]
    assert any(text.startswith("batchSize: 8") for text in value["assumed"])


@pytest.mark.parametrize("missing", sorted(REQUEST))
def test_what_is_missing_is_told_as_they_tell_it(post, missing):
    response = post(DEPLOY, {key: value for key, value in REQUEST.items() if key != missing})
    value = response.json()
    assert response.status_code == 422
    assert (value["success"], value["error"]) == (False, "缺少必要的部署参数")
    assert [error["where"] for error in value["errors"]] == [missing]


def test_zero_is_not_missing(post):
    value = post(DEPLOY, {**REQUEST, "modelSize": 0, "dp": 0}).json()
    assert [error["code"] for error in value["errors"]] == ["out_of_range", "out_of_range"]
    assert value["error"] != "缺少必要的部署参数"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"regions": 3}, "regions is 3, but gpusPerRegion has 2"),
        ({"dp": 8}, "dp*pp*tp = 8*1*1 = 8, but gpusPerRegion adds up to 16"),
        ({"dp": 8, "tp": 2}, "tensor parallelism"),
        ({"gpu": "a1000"}, "a1000"),
        ({"gpu": "$(reboot)"}, "reboot"),
        ({"bandwidth": "10"}, "unit"),
        ({"modelSize": "7; reboot"}, "not a number"),
        ({"modelSize": True}, "not a number"),
        ({"gpusPerRegion": [8, "8"]}, "not a list of whole numbers"),
        ({"gpusPerRegion": [10**9, 8]}, "goes from 1 to 16384"),
        ({"gpusPerRegion": []}, "has 0 entries"),
        ({"nccl": "x"}, 'unknown key "nccl"'),
    ],
)
def test_what_is_wrong_is_refused_with_the_numbers(post, change, said):
    response = post(DEPLOY, {**REQUEST, **change})
    assert response.status_code == 422
    assert response.json()["success"] is False
    assert said in " ".join(error["message"] for error in response.json()["errors"])


def test_degrees_that_make_more_gpus_than_there_are_fill_no_memory(post):
    response = post(SCRIPT, {"modelSize": 7, "dp": 10_000, "pp": 10_000, "tp": 1})
    assert response.status_code == 422
    assert "100,000,000 GPUs; at most 16,384" in response.json()["errors"][0]["message"]


def test_older_routes_ask_for_a_token_like_all_others(ask, new_application):
    guarded = new_application(Access(token_digests=(hashlib.sha256(b"x").digest(),), host_names=None))
    assert ask("POST", DEPLOY, to=guarded, json=REQUEST).status_code == 401
