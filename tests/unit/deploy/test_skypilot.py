"""The SkyPilot backend: what is rented and refused, and its programs against a sky that plays along."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crosszone.catalog.gpus import gpu_names
from crosszone.deploy.backends import backend
from crosszone.deploy.gpu_names import SKYPILOT_ACCELERATORS
from crosszone.deploy.rented import PROVIDERS, data_files
from crosszone.errors import InfeasiblePlan, SpecError

SKY = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$1 $2" in
    "launch "*) if [ -e "$ANSWERS/full" ] && [[ "$*" == *-p1* ]]; then exit 1; fi ;;
    "logs --status") eval "exit $(cat "$ANSWERS/status" 2>/dev/null || echo 0)" ;;
    "logs --no-follow") echo "CUDA out of memory" ;;
    "logs "*) echo "(head, rank=0, pid=71) crosszone-address: 10.128.0.7" ;;
    "down "*) if [ -e "$ANSWERS/stuck" ]; then exit 1; fi ;;
esac
"""
RSYNC = '#!/usr/bin/env bash\necho "rsync $*" >>"$CALLS"\n'


@pytest.fixture
def rented(job) -> dict[str, Any]:
    """The job in two regions of one provider, the second preemptible."""
    first, second = job["cluster"]["zones"]
    first["region"], second["region"] = "gcp:us-central1", "gcp:us-east1"
    second["nodes"][0]["preemptible"] = True
    for zone in (first, second):
        del zone["nodes"][0]["addresses"]
        zone["nodes"][0]["price"] = "2 USD/h"
    return job


@pytest.fixture
def one_zone(rented) -> dict[str, Any]:
    del rented["cluster"]["zones"][1], rented["cluster"]["links"]
    rented["plan"]["dp"] = 2
    return rented


@pytest.fixture
def skypilot(deployed) -> Callable[..., Any]:
    def deploy(job: dict[str, Any], **options: Any) -> Any:
        return deployed(job, "ddp", "skypilot", **options)

    return deploy


@pytest.fixture
def sky(tmp_path, monkeypatch) -> Path:
    """Answers of sky, in files that a test may make."""
    answers, programs = tmp_path / "answers", tmp_path / "bin"
    for folder in (answers, programs):
        folder.mkdir()
    for name, text in (("sky", SKY), ("rsync", RSYNC)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(answers))
    monkeypatch.setenv("CALLS", str(answers / "calls"))
    monkeypatch.setenv("FOLLOW_SECONDS", "0")
    return answers


def run(program: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", str(program), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )


def task(bundle: Any, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(bundle.text(f"skypilot/part-{index}.yaml"))
    return found


def findings(error: Any) -> list[str]:
    return [finding.where for finding in error.value.findings]


def test_a_task_per_zone(rented, skypilot) -> None:
    bundle = skypilot(rented)
    first, second = task(bundle), task(bundle, 1)
    autostop = {"idle_minutes": 30, "down": True}
    assert first["resources"] == {
        "infra": "gcp/us-central1",
        "accelerators": {"A100-80GB": 2},
        "autostop": autostop,
    }
    assert second["resources"] == {
        "infra": "gcp/us-east1",
        "accelerators": {"A100-80GB": 1},
        "use_spot": True,
        "autostop": autostop,
    }
    assert [each["num_nodes"] for each in (first, second)] == [1, 1]
    assert [each["run"] for each in (first, second)] == ["bash launch/node.sh 0\n", "bash launch/node.sh 1\n"]
    assert first["envs"] == {"PET_MASTER_ADDR": ""}
    assert first["setup"] == "bash launch/setup.sh\n"


def test_one_zone_is_one_task_that_trains_at_once(one_zone, skypilot) -> None:
    one_zone["cluster"]["zones"][0]["nodes"][0] |= {"count": 2, "disk": "500 GB", "image": "docker.io/me/train:1"}
    one_zone["plan"]["dp"] = 4
    bundle = skypilot(one_zone)
    found = task(bundle)
    assert found["num_nodes"] == 2
    assert found["resources"]["disk_size"] == 466, "SkyPilot counts GiB"
    assert found["resources"]["image_id"] == "docker:docker.io/me/train:1"
    assert found["setup"] == "bash launch/setup.sh image\n"
    assert "envs" not in found
    assert "sky exec" not in bundle.text("run_training.sh")


@pytest.mark.parametrize(
    ("region", "zone", "infra"),
    [
        ("aws:us-east-1", "us-east-1b", "aws/us-east-1/us-east-1b"),
        ("gcp:us-central1", "us-central1-a", "gcp/us-central1/us-central1-a"),
        ("gcp:us-central1", "us-central1", "gcp/us-central1"),
        ("aws:us-east-1", "us-east-1", "aws/us-east-1"),
        ("azure:eastus", "eastus1", "azure/eastus"),
    ],
)
def test_a_zone_that_the_provider_knows_is_asked_for(one_zone, skypilot, region, zone, infra) -> None:
    one_zone["cluster"]["zones"][0] |= {"region": region, "name": zone}
    assert task(skypilot(one_zone))["resources"]["infra"] == infra


def test_on_cpus_no_accelerator_is_asked_for(one_zone, skypilot) -> None:
    assert task(skypilot(one_zone, device="cpu"))["resources"]["cpus"] == "2+"


def test_data_is_copied_to_its_path(one_zone, skypilot) -> None:
    assert task(skypilot(one_zone, data="/data/tokens.bin"))["file_mounts"] == {"/data/tokens.bin": "/data/tokens.bin"}
    launch = skypilot(one_zone, data="/data/corpus").launch
    megatron = dataclasses.replace(launch, argv=("pretrain_gpt.py", "--data-path", "/data/corpus"))
    assert data_files(megatron) == ("/data/corpus.bin", "/data/corpus.idx")
    with pytest.raises(SpecError) as caught:
        skypilot(one_zone, data="/data/$(touch x).bin")
    assert findings(caught) == ["--data"]


def test_where_to_rent_must_be_known(rented, skypilot) -> None:
    first, second = rented["cluster"]["zones"]
    first["region"] = "my cellar"
    del second["region"]
    with pytest.raises(SpecError) as caught:
        skypilot(rented)
    assert findings(caught) == ["cluster.zones[0].region", "cluster.zones[1].region"]


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"region": "alibaba:cn-beijing"}, "cluster.zones[0].region", "rents no nodes from alibaba"),
        ({"gpu": "h20-sxm5-96gb"}, "cluster.zones[0].nodes[0].gpu", "h20-sxm5-96gb at gcp is not known"),
        ({"gpu": "mi300x-192gb"}, "cluster.zones[0].nodes[0].gpu", "mi300x-192gb at gcp is not known"),
        (
            {"region": "lambda:us-east-1", "preemptible": True},
            "cluster.zones[0].nodes[0].preemptible",
            "no preemptible",
        ),
        ({"region": "oci:us-ashburn-1", "image": "a/b:1"}, "cluster.zones[0].nodes[0].image", "no container images"),
        ({"region": "runpod:US", "count": 2}, "cluster.zones[0].region", "joins no nodes of runpod"),
    ],
)
def test_what_cannot_be_rented_is_refused(one_zone, skypilot, change, where, message) -> None:
    zone = one_zone["cluster"]["zones"][0]
    zone |= {key: value for key, value in change.items() if key == "region"}
    zone["nodes"][0] |= {key: value for key, value in change.items() if key != "region"}
    one_zone["plan"]["dp"] = 2 * zone["nodes"][0]["count"]
    with pytest.raises(InfeasiblePlan, match=message) as caught:
        skypilot(one_zone)
    assert findings(caught) == [where]


def test_runpod_tells_forms_apart(one_zone, skypilot) -> None:
    one_zone["cluster"]["zones"][0]["region"] = "runpod:US"
    assert task(skypilot(one_zone))["resources"]["accelerators"] == {"A100-80GB-SXM": 2}


def test_zones_are_rented_from_one_place(rented, skypilot) -> None:
    with pytest.raises(InfeasiblePlan, match="from one place"):
        skypilot(rented, zone="zone1")


def test_checkpoints_have_no_place_that_all_nodes_see(rented, skypilot) -> None:
    with pytest.raises(SpecError, match="share no folder"):
        skypilot(rented, checkpoints="/shared/run")


def test_checkpoints_on_a_rented_node_are_asked_for_by_name(one_zone, skypilot) -> None:
    with pytest.raises(SpecError, match="given back"):
        skypilot(one_zone, checkpoints=None)
    assert skypilot(one_zone, checkpoints="/mnt/run").files


def test_tables_name_what_exists() -> None:
    assert set(SKYPILOT_ACCELERATORS) <= set(gpu_names())
    assert {provider for names in SKYPILOT_ACCELERATORS.values() for provider in names} <= {"", *PROVIDERS}


def test_addresses_of_the_job_are_not_those_of_rented_nodes(job, skypilot) -> None:
    for zone in job["cluster"]["zones"]:
        zone["region"] = "gcp:us-central1"
    bundle = skypilot(job)
    assert {agent.address for agent in bundle.launch.agents} == {None}
    assert not [file.path for file in bundle.files if "10.0.0.1" in file.text and file.path != "metadata.json"]
    assert yaml.safe_load(bundle.text("pytorch_ddp_config.yaml"))["init_method"] == "env://"


def test_all_are_rented_before_any_rank_starts(rented, written, sky) -> None:
    folder = written(rented, "ddp", "skypilot")
    done = run(folder / "run_training.sh", "--yes")
    assert done.returncode == 0, done.stderr
    assert "About 6.00 USD an hour" in done.stdout
    calls = [line.split() for line in (sky / "calls").read_text().splitlines()]
    verbs = [words[0] for words in calls]
    assert verbs[:5] == ["launch", "launch", "logs", "exec", "exec"]
    assert all("PET_MASTER_ADDR=10.128.0.7" in words for words in calls if words[0] == "exec")
    assert verbs.count("rsync") == 2
    assert len((folder / "logs/job-id").read_text().split()) == 2
    assert run(folder / "stop_training.sh").returncode == 0
    assert not (folder / "logs/job-id").exists()


def test_nothing_is_rented_without_consent(rented, written, sky) -> None:
    done = run(written(rented, "ddp", "skypilot") / "run_training.sh")
    assert done.returncode == 2
    assert "give --yes" in done.stderr
    assert not (sky / "calls").exists()


def test_a_region_without_nodes_gives_all_back(rented, written, sky) -> None:
    (sky / "full").touch()
    done = run(written(rented, "ddp", "skypilot") / "run_training.sh", "--yes")
    assert done.returncode == 1
    verbs = [line.split()[0] for line in (sky / "calls").read_text().splitlines()]
    assert verbs == ["launch", "launch", "down", "down"]


def test_a_failed_rank_ends_all_and_says_why(rented, written, sky) -> None:
    (sky / "status").write_text("100")
    done = run(written(rented, "ddp", "skypilot") / "run_training.sh", "--yes")
    assert done.returncode == 1
    assert "CUDA out of memory" in done.stderr
    assert [line.split()[0] for line in (sky / "calls").read_text().splitlines()].count("cancel") == 2


def test_nodes_given_back_are_followed_no_longer(rented, written, sky) -> None:
    folder = written(rented, "ddp", "skypilot")
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs/job-id").touch()
    (sky / "status").write_text(f"$(rm -f {folder}/logs/job-id; echo 1)")
    done = run(folder / "run_training.sh", "--follow")
    assert done.returncode == 1
    assert "cannot see" in done.stderr
    assert "nothing is rented from here" in done.stderr


def test_nodes_that_cannot_be_given_back_are_told(rented, written, sky) -> None:
    (sky / "stuck").touch()
    folder = written(rented, "ddp", "skypilot")
    assert run(folder / "run_training.sh", "--yes").returncode == 0
    done = run(folder / "stop_training.sh")
    assert (folder / "logs/job-id").exists()
    assert done.returncode == 1
    assert done.stderr.count("goes on costing money") == 2


def test_a_price_that_is_not_known_is_not_called_zero(rented, written, sky) -> None:
    for zone in rented["cluster"]["zones"]:
        zone["region"], zone["nodes"][0]["gpu"] = "oci:us-ashburn-1", "l40s-48gb"
        del zone["nodes"][0]["price"]
    done = run(written(rented, "ddp", "skypilot") / "run_training.sh", "--yes")
    assert "What that costs is not known" in done.stdout


def test_the_first_start_tells_the_address_of_the_head_node(rented, written) -> None:
    folder = written(rented, "ddp", "skypilot")
    nodes = {"SKYPILOT_NODE_IPS": "10.128.0.7\n10.128.0.8", "PET_MASTER_ADDR": ""}
    assert (
        run(folder / "launch/node.sh", "0", SKYPILOT_NODE_RANK="0", **nodes).stdout == "crosszone-address: 10.128.0.7\n"
    )
    assert run(folder / "launch/node.sh", "0", SKYPILOT_NODE_RANK="1", **nodes).stdout == ""


def test_what_a_framework_needs_is_installed_once(rented, skypilot) -> None:
    needs = {"image": "nvcr.io/nvidia/pytorch:1", "packages": ("g++",), "setup": ("install_it.sh",)}
    launch = dataclasses.replace(skypilot(rented).launch, **needs)
    files = backend("skypilot").render(launch)
    found = yaml.safe_load(files["skypilot/part-1.yaml"])
    assert found["resources"]["image_id"] == "docker:nvcr.io/nvidia/pytorch:1"
    assert found["setup"] == "bash launch/setup.sh image\n"
    setup = files["launch/setup.sh"]
    steps = [setup.index(text) for text in ("packages=(iproute2 g++)", "pip install", "bash ./install_it.sh")]
    assert steps == sorted(steps)


@pytest.mark.parametrize("name", ["$(touch x)", "END", "`touch x`", "us-central1'; touch x", "--all"])
def test_names_of_zones_reach_no_program(rented, skypilot, name) -> None:
    rented["cluster"]["zones"][0]["name"] = name
    rented["cluster"]["links"][0]["between"][0] = name
    bundle = skypilot(rented)
    programs = [file for file in bundle.files if file.path.endswith(".sh") or file.path.startswith("skypilot/")]
    before = skypilot(rented | {"cluster": renamed(rented["cluster"], name)})
    assert [file.text.replace(cluster_of(bundle), "") for file in programs] == [
        before.text(file.path).replace(cluster_of(before), "") for file in programs
    ]


def renamed(cluster: dict[str, Any], name: str) -> dict[str, Any]:
    """The cluster with a harmless name for that zone."""
    text: dict[str, Any] = json.loads(json.dumps(cluster).replace(json.dumps(name), '"zone0"'))
    return text


def cluster_of(bundle: Any) -> str:
    """What its SkyPilot clusters' names begin with: a fingerprint of the job, names of zones too."""
    name: str = task(bundle)["name"]
    return name.removesuffix("-p0")
