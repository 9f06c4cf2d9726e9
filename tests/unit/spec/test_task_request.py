"""What a request for a task says of its start."""

from __future__ import annotations

import pytest

from crosszone.errors import SpecError
from crosszone.spec.task_request import read_task_request

REQUEST = {
    "taskName": "small",
    "datasetId": "d",
    "datasetVersionId": "1",
    "distributedConfig": {"nodeIds": ["env-1"]},
}


def test_options_of_a_start_are_kept_and_those_that_are_not_said_are_not_there():
    said = {"backend": "ssh", "device": "cpu", "steps": 10, "data": "/data/tokens", "checkpoints": "none"}
    assert read_task_request({**REQUEST, "deployment": said}).deployment == said
    assert read_task_request(REQUEST).deployment == {}


def test_all_that_is_wrong_with_them_is_told_at_once_in_both_languages():
    said = {"device": "tpu", "steps": 0, "data": "tokens", "checkpoints": "none/", "restarts": 3}
    with pytest.raises(SpecError) as caught:
        read_task_request({**REQUEST, "deployment": said})
    places = {each.where: each.code for each in caught.value.findings}
    assert places == {
        "deployment.device": "unknown_name",
        "deployment.steps": "out_of_range",
        "deployment.data": "not_absolute",
        "deployment.checkpoints": "not_absolute",
        "deployment.restarts": "unknown_key",
    }
    assert all(each.message_zh for each in caught.value.findings)
