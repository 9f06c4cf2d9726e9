"""Every SkyPilot task and table of ours against SkyPilot itself, in an environment of its own (317 MB): `make soak`."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.backends import backend
from crosszone.deploy.rented import PROVIDERS, VERSION

READ = """
import json, sys
import sky
from sky.clouds import CloudImplementationFeatures as Feature
from sky.utils import registry

def read(path):
    try:
        task = sky.Task.from_yaml(path)
    except Exception as error:
        return {"error": str(error)}
    (found,) = task.resources
    return {
        "nodes": task.num_nodes, "cloud": str(found.cloud), "region": found.region, "zone": found.zone,
        "accelerators": found.accelerators, "spot": found.use_spot, "disk": found.disk_size,
        "image": found.extract_docker_image(), "idle": found.autostop_config.idle_minutes,
        "down": found.autostop_config.down, "mounts": task.file_mounts, "run": task.run,
    }

def can(name):
    cloud = registry.CLOUD_REGISTRY.from_str(name)
    missing = cloud._unsupported_features_for_resources(sky.Resources(), None)
    asked = (Feature.MULTI_NODE, Feature.SPOT_INSTANCE, Feature.DOCKER_IMAGE, Feature.AUTODOWN)
    return [feature not in missing for feature in asked]

asked = json.load(sys.stdin)
answer = {"tasks": {path: read(path) for path in asked["tasks"]}, "providers": {n: can(n) for n in asked["providers"]}}
print("ANSWER" + json.dumps(answer))
"""
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> Path:
    """A Python with SkyPilot of the version that our tasks are for."""
    folder = tmp_path_factory.mktemp("sky")
    python = folder / "venv" / "bin" / "python"
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("uv is not installed")
    wanted = f"skypilot=={VERSION}"
    for words in (["venv", "--quiet", str(folder / "venv")], ["pip", "install", "-q", "--python", str(python), wanted]):
        done = subprocess.run([uv, *words], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            pytest.skip(f"SkyPilot cannot be installed: {done.stderr[-300:]}")
    return python


def ask(python: Path, tasks: list[Path], providers: list[str]) -> dict[str, Any]:
    asked = json.dumps({"tasks": [str(path) for path in tasks], "providers": providers})
    around = {**os.environ, "HOME": str(python.parents[2]), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    command = [str(python), "-c", READ]
    done = subprocess.run(command, input=asked, env=around, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWER"))
    answer: dict[str, Any] = json.loads(line.removeprefix("ANSWER"))
    return answer


@cache
def rendered(num_zones: int) -> Bundle:
    """Two node groups in each zone: one of two nodes, preemptible; one of one node, with an image and a disk."""
    first = {"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2, "network": "100 Gbit/s", "preemptible": True}
    second = {**first, "count": 1, "gpu": "v100-sxm2-16gb", "preemptible": False, "disk": "500 GB", "image": "a/b:1"}
    regions = (("us-central1-a", "gcp:us-central1"), ("us-east-1b", "aws:us-east-1"), ("far", "azure:eastus"))
    zones = [{"name": name, "region": region, "nodes": [first, second]} for name, region in regions[:num_zones]]
    job = {
        "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
        "workload": {"sequence_length": 32, "global_batch_size": 36, "precision": "fp32"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "1 Gbit/s", "rtt": "30 ms"}},
        "plan": {"microbatch_size": 1, "dp": 6 * num_zones},
    }
    options = {"num_steps": 10, "checkpoints": "none", "data": "/data/tokens.bin"}
    return service.deploy(service.read(job), framework="ddp", backend="skypilot", **options)


def write_tasks(folder: Path, bundle: Bundle) -> list[Path]:
    paths = []
    for file in bundle.files:
        if file.path.startswith("skypilot/"):
            paths.append(folder / file.path.replace("/", "-"))
            paths[-1].write_text(file.text)
    return paths


@pytest.mark.parametrize("num_zones", [1, 3])
def test_skypilot_reads_what_we_mean(sky, tmp_path, monkeypatch, num_zones) -> None:
    bundle = rendered(num_zones)
    paths = write_tasks(tmp_path, bundle)
    found = ask(sky, paths, [])["tasks"]
    expected = []
    for cloud, region, zone in (
        ("GCP", "us-central1", "us-central1-a"),
        ("AWS", "us-east-1", "us-east-1b"),
        ("Azure", "eastus", None),
    )[:num_zones]:
        place = {"cloud": cloud, "region": region, "zone": zone}
        expected += [
            {**place, "nodes": 2, "accelerators": {"A100-80GB": 2}, "spot": True, "disk": 256, "image": None},
            {**place, "nodes": 1, "accelerators": {"V100": 2}, "spot": False, "disk": 466, "image": "a/b:1"},
        ]
    kept = [{key: found[str(path)].get(key) for key in expected[0]} for path in paths]
    assert kept == expected, found
    assert all((task["idle"], task["down"]) == (30, True) for task in found.values())
    first_agents = [int(found[str(path)]["run"].split()[-1]) for path in paths]
    assert first_agents == [number for zone in range(num_zones) for number in (3 * zone, 3 * zone + 2)]


def test_skypilot_refuses_an_unknown_key(sky, tmp_path) -> None:
    (path, *_) = write_tasks(tmp_path, rendered(1))
    path.write_text(path.read_text().replace("num_nodes", "num_node"))
    assert "num_node" in ask(sky, [path], [])["tasks"][str(path)]["error"]


def test_our_table_of_providers_is_skypilots(sky) -> None:
    ours = {
        name: [facts.has_clusters, facts.has_preemptible, facts.has_images, True] for name, facts in PROVIDERS.items()
    }
    assert ask(sky, [], list(PROVIDERS))["providers"] == ours


def test_the_readme_names_the_version() -> None:
    assert VERSION in backend("skypilot").STEPS["en"][0]
