"""What is in a bundle, what it rests on, and what is refused: by name, with the numbers."""

import dataclasses
import json

import pytest
from ruamel.yaml import YAML

from crosszone import service
from crosszone.core.checkpoint import state_fields
from crosszone.core.codec import from_json
from crosszone.core.train import train_config
from crosszone.core.workload import Dtypes
from crosszone.errors import InfeasiblePlan, SpecError, UnknownName


def one_zone(job) -> dict:
    del job["cluster"]["links"]
    job["cluster"]["zones"] = job["cluster"]["zones"][:1]
    job["plan"]["dp"] = 2
    return job


def test_the_configuration_is_the_plans(job, deployed) -> None:
    job["workload"]["precision"] = "bf16"
    bundle = deployed(job)
    config = train_config(json.loads(bundle.text("configs/train.json")))
    assert config.rank_microbatches == (2, 2, 2)
    assert config.global_batch_size == 12
    assert (config.device, config.backend) == ("cuda", "nccl")
    assert config.dtypes == from_json(Dtypes, json.loads(bundle.text("configs/train.json"))["dtypes"])
    assert config.dtypes.compute == "bf16"
    assert config.fingerprint == json.loads(bundle.text("metadata.json"))["prediction"]["fingerprint"]
    assert "auto" not in bundle.text("configs/train.json")


def test_replicas_get_the_microbatches_of_the_plan_in_the_order_of_ranks(job, deployed) -> None:
    job["plan"]["replicas"] = [
        {"zones": ["zone0"], "num_replicas": 2, "num_microbatches": 1},
        {"zones": ["zone1"], "num_replicas": 1, "num_microbatches": 4},
    ]
    bundle = deployed(job)
    assert json.loads(bundle.text("configs/train.json"))["rank_microbatches"] == [1, 1, 4]


def test_ddp_has_the_ranks_of_every_node(job, deployed) -> None:
    value = YAML(typ="safe").load(deployed(job).text("pytorch_ddp_config.yaml"))
    assert value["world_size"] == 3
    assert value["init_method"] == "tcp://10.0.0.1:29500"
    assert [node["ranks"] for node in value["nodes"]] == [[0, 1], [2]]


@pytest.mark.parametrize("backend", ["ssh", "slurm", "kubernetes", "skypilot"])
def test_no_other_bundle_has_its_identity(job, deployed, tmp_path, backend) -> None:
    """By which nodes know its folder, and schedulers its job: of two that differ in what runs, neither is the other."""
    for index, zone in enumerate(job["cluster"]["zones"]):
        zone["region"] = f"aws:us-east-{index + 1}"
    programs = [tmp_path / name for name in ("one.py", "two.py")]
    for program in programs:
        program.write_text(f"print({program.name!r})\n")
    bundles = [
        deployed(job, backend=backend),
        deployed(job, backend=backend, num_steps=20),
        deployed({**job, "plan": {**job["plan"], "recompute": "full"}}, backend=backend),
        *(deployed(job, backend=backend, entry=str(program)) for program in programs),
        deployed(job, backend=backend, entry=str(programs[0]), arguments=("--lr", "1e-4")),
    ]
    assert len({bundle.launch.identity for bundle in bundles}) == len(bundles)
    again = deployed(json.loads(json.dumps(job)), backend=backend)
    assert again == bundles[0]
    names = [file.text for file in again.files if f"-{again.launch.identity}" in file.text]
    assert names


def test_the_hostfile_has_uneven_slots(job, deployed) -> None:
    assert deployed(job).text("hostfile") == "10.0.0.1 slots=2\n10.1.0.1 slots=1\n"


def test_time_outs_follow_from_the_link_and_the_step(job, deployed) -> None:
    near = json.loads(deployed(job).text("configs/train.json"))["timeouts"]
    job["cluster"]["links"][0]["rtt"] = "400 ms"
    far = json.loads(deployed(job).text("configs/train.json"))["timeouts"]
    assert near["heartbeat_seconds"] == pytest.approx(5.0 * 0.02 + 5.0)
    assert far["heartbeat_seconds"] == pytest.approx(5.0 * 0.4 + 5.0)


def test_a_checkpoint_comes_as_often_as_predicted(job, deployed) -> None:
    bundle = deployed(job, checkpoints="/shared/ckpt")
    prediction = json.loads(bundle.text("metadata.json"))["prediction"]
    checkpoint = json.loads(bundle.text("configs/train.json"))["checkpoint"]
    every_seconds = prediction["reliability"]["checkpoint_every_seconds"]
    assert checkpoint["folder"] == "/shared/ckpt"
    assert checkpoint["every_steps"] * prediction["step_seconds"] == pytest.approx(
        every_seconds, abs=prediction["step_seconds"]
    )


def test_the_number_of_steps_follows_from_the_tokens(job, deployed) -> None:
    job["workload"]["train_tokens"] = "10k"
    config = json.loads(deployed(job, num_steps=None).text("configs/train.json"))
    assert config["num_steps"] == 27  # of 384 tokens each
    assert config["optimizer"]["num_warmup_steps"] + config["optimizer"]["num_decay_steps"] == 27


def test_a_longer_training_goes_on_from_the_state_of_a_shorter(deployed, job) -> None:
    shorter, longer = (
        train_config(json.loads(deployed(job, num_steps=steps).text("configs/train.json"))) for steps in (6, 10)
    )
    assert (shorter.num_steps, longer.num_steps) == (6, 10)
    states = [state_fields(config, model_config=None, tokens=None) for config in (shorter, longer)]
    assert states[0] == states[1]


def test_what_all_nodes_must_see_is_named(job, deployed) -> None:
    with pytest.raises(SpecError) as caught:
        deployed(job, checkpoints=None)
    assert [(finding.code, finding.where) for finding in caught.value.findings] == [("missing", "--checkpoints")]


@pytest.mark.parametrize("backend", ["bare", "ssh"])
def test_every_missing_address_is_named(job, deployed, backend) -> None:
    for zone in job["cluster"]["zones"]:
        del zone["nodes"][0]["addresses"]
    with pytest.raises(SpecError) as caught:
        deployed(job, backend=backend)
    assert [finding.where for finding in caught.value.findings] == [
        "cluster.zones[0].nodes[0].addresses",
        "cluster.zones[1].nodes[0].addresses",
    ]


@pytest.mark.parametrize("backend", ["bare", "ssh", "slurm"])
def test_two_nodes_under_one_address_are_refused_with_both_places(job, deployed, backend) -> None:
    for zone, address in zip(job["cluster"]["zones"], ("Node-1", "node-1"), strict=True):
        zone["nodes"][0]["addresses"] = [address]
    with pytest.raises(SpecError) as caught:
        deployed(job, backend=backend)
    (finding,) = caught.value.findings
    assert (finding.code, finding.where) == ("shared_address", "cluster.zones[1].nodes[0].addresses[0]")
    assert "node-1 is the address of another node too, at cluster.zones[0].nodes[0].addresses[0]." in finding.message


def test_zones_with_schedulers_of_their_own_may_use_a_name_twice(job, deployed) -> None:
    node = {"count": 2, "gpus_per_node": 1}
    job["cluster"]["zones"][0]["nodes"][0] |= {**node, "addresses": ["login-a", "n2"]}
    job["cluster"]["zones"][1]["nodes"][0] |= {**node, "addresses": ["n1", "n2"]}
    job["plan"]["dp"] = 4
    assert deployed(job, backend="slurm", zone="zone1").files
    with pytest.raises(SpecError, match="n2 is the address of another node too"):
        deployed(job, backend="slurm")


def test_one_node_needs_an_address_only_to_be_reached(job, deployed) -> None:
    del one_zone(job)["cluster"]["zones"][0]["nodes"][0]["addresses"]
    assert deployed(job, checkpoints=None).launch.world_size == 2
    with pytest.raises(SpecError, match="needs the address"):
        deployed(job, backend="ssh")


def test_local_is_one_machine_and_a_cpu_holds_any_number_of_ranks(job, deployed) -> None:
    with pytest.raises(InfeasiblePlan, match="the degrees of plan are 3 ranks, and no node has more than 2"):
        deployed(job, backend="local")
    problem = service.read(job | {"framework": {"name": "ddp"}})
    plan = service.predict(problem).plan
    with pytest.raises(InfeasiblePlan, match="the plan puts 3 ranks on those of 2 nodes"):
        service.deploy(problem, framework="ddp", backend="local", plan=plan, num_steps=10, checkpoints="none")
    bundle = deployed(job, backend="local", device="cpu", checkpoints=None)
    assert "--nproc-per-node=3" in bundle.text("run_training.sh")
    assert json.loads(bundle.text("configs/train.json"))["backend"] == "gloo"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"sync": {"method": "delayed"}}, "no renderer for delayed every 1 steps under ddp yet"),
        ({"sync": {"every": 8}}, "no renderer for hierarchical every 8 steps under ddp yet"),
    ],
)
def test_ways_to_agree_that_the_trainer_lacks_are_refused(job, deployed, plan, message) -> None:
    job["plan"] |= plan
    job["constraints"] = {"allow": ["async", "batch_change"]}
    with pytest.raises(InfeasiblePlan, match=message):
        deployed(job)


def test_an_optimizer_that_the_trainer_lacks_is_refused(job, deployed) -> None:
    job["workload"]["optimizer"] = "lion"
    with pytest.raises(InfeasiblePlan, match="no renderer for the optimizer lion yet"):
        deployed(job)


def test_a_plan_that_does_not_fit_is_refused_on_gpus_only(job, deployed) -> None:
    job["cluster"]["zones"][0]["nodes"][0]["gpu"] = job["cluster"]["zones"][1]["nodes"][0]["gpu"] = "v100-sxm2-16gb"
    job["model"] = "llama-2-7b"
    with pytest.raises(InfeasiblePlan, match=r"stage 0 in zone0 needs 1\d\d GB .*\(v100-sxm2-16gb\) has 1\d.* GB"):
        deployed(job)
    assert deployed(job, backend="local", device="cpu", checkpoints=None).files


def test_nodes_without_room_for_what_is_offloaded_are_refused_by_that(job, deployed) -> None:
    job["cluster"]["zones"][0]["nodes"][0]["memory"] = "1 MB"
    one_zone(job)["plan"] |= {"shard": "optimizer", "offload": "optimizer"}
    with pytest.raises(InfeasiblePlan, match=r"need .* of a node's own memory, and a node in \w+ has .*"):
        deployed(job, "deepspeed")


def test_gpus_that_the_plan_leaves_alone_are_named(job, deployed) -> None:
    job["cluster"]["zones"][0]["nodes"] = [
        {**job["cluster"]["zones"][0]["nodes"][0], "count": 2, "addresses": ["10.0.0.1", "10.0.0.2"]},
        {**job["cluster"]["zones"][0]["nodes"][0], "addresses": ["10.0.1.1"]},
    ]
    idle = [{"zone": "zone0", "node_group": 0, "num_gpus": 3}, {"zone": "zone1", "node_group": 0, "num_gpus": 1}]
    job["plan"]["idle_gpus"] = idle
    bundle = deployed(job)
    told = "The plan leaves 4 of 7 GPUs idle: 3 of 4 in zone0, node group 0 (1 of 2 nodes whole); 1 of 1 in zone1."
    assert told in bundle.warnings
    assert told in bundle.text("README.md")
    assert not [text for text in deployed(job, backend="local", device="cpu").warnings if "idle" in text]


@pytest.mark.parametrize(
    ("framework", "backend", "kind"), [("ddq", "bare", "unknown framework"), ("ddp", "slurn", "unknown backend")]
)
def test_names_without_a_renderer(job, deployed, framework, backend, kind) -> None:
    with pytest.raises(UnknownName, match=kind):
        deployed(job, framework, backend=backend)


def test_a_saved_plan_is_taken_as_it_is_and_held_to_its_framework(job) -> None:
    problem = service.read({**job, "framework": {"name": "ddp"}})
    plan = service.predict(problem).plan
    options = {"backend": "bare", "num_steps": 10, "checkpoints": "none"}
    fast = dataclasses.replace(plan, bucket_bytes=1e6)
    bundle = service.deploy(problem, framework="ddp", plan=fast, **options)
    assert json.loads(bundle.text("configs/train.json"))["bucket_bytes"] == 1e6
    with pytest.raises(SpecError, match="the plan is for ddp, not fsdp"):
        service.deploy(problem, framework="fsdp", plan=plan, **options)


def test_fsdp_shards_as_the_plan_says(job, deployed) -> None:
    one_zone(job)["plan"] |= {"shard": "gradients", "dp_shard": 2, "prefetch": 2}
    config = json.loads(deployed(job, "fsdp").text("configs/train.json"))
    assert (config["framework"], config["shard"], config["dp_shard"], config["prefetch"]) == ("fsdp", "gradients", 2, 2)


def test_zones_whose_nodes_lose_infiniband_are_named(job, deployed) -> None:
    job["cluster"]["zones"][0]["nodes"][0] |= {"count": 2, "gpus_per_node": 1, "addresses": ["10.0.0.1", "10.0.0.2"]}
    (told,) = [text for text in deployed(job).warnings if "NCCL_NET=Socket" in text]
    assert "between the nodes of zone0 too" in told
    assert not [text for text in deployed(job, backend="local", device="cpu").warnings if "NCCL" in text]


def test_one_node_in_each_zone_needs_no_word(job, deployed) -> None:
    assert "NCCL_NET" not in " ".join(deployed(job).warnings)
    assert not [text for text in deployed(one_zone(job)).warnings if "NCCL" in text]


def test_all_ranks_take_one_network_where_zones_are_crossed(job, deployed) -> None:
    """Each would take what its own node has, a plug-in before InfiniBand before sockets, and hang."""
    text = deployed(job).text("environment.sh")
    assert "export NCCL_NET=Socket\n" in text
    assert "export NCCL_IB_DISABLE=1\n" in text
    assert "NCCL_NET" not in deployed(one_zone(job)).text("environment.sh")


def test_readmes_name_every_launch_file_and_what_was_assumed(job, deployed) -> None:
    bundle = deployed(job)
    for path in ("README.md", "README.zh.md"):
        text = bundle.text(path)
        assert all(f"launch/zone-{index}/agent-{index}.sh" in text for index in (0, 1))
        assert "29500" in text
        assert "Brown et al. 2020" in text


def test_the_image_is_the_job_files_or_a_pinned_one(job, deployed) -> None:
    assert deployed(job).text("Containerfile").startswith("FROM docker.io/library/python:3.11.7-slim-bookworm\n")
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["image"] = "registry.example/team/train:1.2"
    bundle = deployed(job)
    assert bundle.text("Containerfile").startswith("FROM registry.example/team/train:1.2\n")
    assert not [line for line in bundle.assumed if "image" in line]


def test_a_program_of_ones_own_needs_nothing_that_our_trainer_does(job, deployed, tmp_path) -> None:
    entry = tmp_path / "train.py"
    entry.write_text("pass\n")
    job["workload"]["optimizer"] = "lion"
    bundle = deployed(job, entry=str(entry), num_steps=None, checkpoints=None)
    paths = {file.path for file in bundle.files}
    assert "entry.py" in paths
    assert not {"configs/train.json", "src/crosszone/runtime/train.py"} & paths
