"""What an attempt runs: the job on the nodes that are left, over what reaches them."""

from __future__ import annotations

import pytest

from crosszone.control.hands import Way
from crosszone.core.environment import Environment
from crosszone.core.task import VALIDATED, Task, TaskNode
from crosszone.errors import PreflightFailed
from crosszone.service.task_bundle import attempt_job, default_backend, task_bundle
from crosszone.spec.clusters import cluster_keys

MODEL = {
    "num_layers": 2,
    "hidden_size": 64,
    "ffn_size": 128,
    "num_heads": 4,
    "num_kv_heads": 2,
    "vocab_size": 512,
}
LINK = {"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}
WAY = Way(nodes=(), port=29555, checkpoint_folder="/shared/checkpoints")


def environment(name, *addresses, **fields):
    made = {"zone": name, "gpu": "a100-sxm4-80gb", "num_gpus": 2, "addresses": addresses}
    return Environment(id=f"{name}-1", name=name, **{**made, **fields})


NORTH, SOUTH = environment("north", "10.0.0.1"), environment("south", "10.0.0.2")


def task(*environments, **fields):
    cluster = {**cluster_keys(environments, {}), "links": [LINK]}
    job = {
        "model": MODEL,
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": cluster,
        "framework": {"name": "ddp"},
        "plan": {"dp": 4, "microbatch_size": 1},
    }
    nodes = tuple(
        TaskNode(environment_id=each.id, name=each.name, zone=each.zone, node_rank=rank, first_rank=0, num_ranks=2)
        for rank, each in enumerate(environments)
    )
    made = {"request": {"deployment": {"device": "cpu", "steps": 5}}, "job": job, "nodes": nodes}
    rest = {"id": "task-1", "name": "t", "state": VALIDATED, "launch_mode": "existing", "main_node": nodes[0].name}
    return Task(**{**made, **rest, "framework": "ddp", "num_gpus": 4, "prediction": None, **fields})


def test_with_all_nodes_in_their_order_the_job_is_as_it_was_asked_for():
    asked = task(NORTH, SOUTH)
    assert attempt_job(asked, [NORTH, SOUTH]) == asked.job


def test_on_fewer_nodes_the_batch_stays_and_the_plan_is_searched():
    asked = task(NORTH, SOUTH)
    job = attempt_job(asked, [SOUTH])
    assert [zone["name"] for zone in job["cluster"]["zones"]] == ["south"]
    assert "links" not in job["cluster"]
    assert "plan" not in job
    assert job["workload"] == asked.job["workload"]
    assert "plan" in asked.job


def test_another_main_node_comes_first():
    job = attempt_job(task(NORTH, SOUTH), [SOUTH, NORTH])
    assert [zone["name"] for zone in job["cluster"]["zones"]] == ["south", "north"]
    assert job["cluster"]["links"] == [LINK]
    assert job["plan"] == {"dp": 4, "microbatch_size": 1}


@pytest.mark.parametrize(
    ("addresses", "backend"),
    [((), "local"), (("127.0.0.1",), "local"), (("10.0.0.1",), "ssh"), (("127.0.0.1", "10.0.0.1"), "ssh")],
)
def test_nodes_that_are_this_machine_need_no_ssh(addresses, backend):
    assert default_backend([environment("north", *addresses)]) == backend


def test_nodes_that_are_not_there_yet_are_rented():
    assert default_backend([]) == "skypilot"


def test_the_files_say_what_the_request_and_the_way_say():
    here = [environment("north"), environment("south")]
    bundle = task_bundle(task(*here), WAY, here)
    files = {file.path: file.text for file in bundle.files}
    assert bundle.launch.world_size == 4
    assert '"/shared/checkpoints"' in files["configs/train.json"]
    assert '"num_steps": 5' in files["configs/train.json"]
    over_ssh = task_bundle(
        task(NORTH, SOUTH, request={"deployment": {"device": "cpu", "steps": 5, "checkpoints": "/nfs/c"}}),
        WAY,
        [SOUTH, NORTH],
    )
    assert [agent.address for agent in over_ssh.launch.agents] == ["10.0.0.2", "10.0.0.1"]
    assert over_ssh.launch.port == 29555


def test_a_model_that_nobody_knows_cannot_be_rendered():
    with pytest.raises(PreflightFailed, match="model is not known"):
        task_bundle(task(NORTH, job=None), WAY, [NORTH])
