"""The Kubernetes backend: what it refuses, what it must know, and its programs against a kubectl that plays along."""

import dataclasses
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crosszone import service
from crosszone.catalog.gpus import gpu_names
from crosszone.deploy.backends import backend
from crosszone.deploy.gpu_names import KUBERNETES_PRODUCTS
from crosszone.deploy.pod_scripts import THIS_NODE
from crosszone.errors import InfeasiblePlan, PreflightFailed, SpecError

KUBECTL = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
case "$*" in
    *"api-resources"*) cat "$ANSWERS/api-resources" ;;
    *"get nodes"*) cat "$ANSWERS/nodes" ;;
    *"jsonpath"*) cat "$ANSWERS/state" ;;
    *"get pods"*"phase=Failed"*) echo pod/failed-one ;;
    *"get pods"*) cat "$ANSWERS/pods" && sed -i 1d "$ANSWERS/pods" ;;
    *"get jobset"* | *"get trainjob"*) [ -e "$ANSWERS/there" ] ;;
    *"create configmap"*) cp -r "${4#--from-file=}/." "$ANSWERS/files" ;;
    *"logs"*"--tail=20"*) echo "CUDA out of memory" ;;
    *"logs"*) echo "step 3" ;;
esac
"""


@pytest.fixture
def kubernetes(deployed) -> Callable[..., Any]:
    def deploy(job: dict[str, Any], **options: Any) -> Any:
        return deployed(job, "ddp", "kubernetes", **options)

    return deploy


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """Answers of kubectl, in files that a test may change."""
    answers, programs = tmp_path / "answers", tmp_path / "bin"
    programs.mkdir()
    (answers / "files").mkdir(parents=True)
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    (answers / "api-resources").write_text("jobsets.jobset.x-k8s.io\n")
    (answers / "nodes").write_text("node/a\nnode/b\n")
    (answers / "state").write_text("cz-1 StartupPolicyCompleted Completed")
    (answers / "pods").write_text("")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(answers))
    monkeypatch.setenv("CALLS", str(answers / "calls"))
    monkeypatch.setenv("FOLLOW_SECONDS", "0")
    return answers


def run(program: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(program), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)


def pod_spec(bundle: Any) -> dict[str, Any]:
    """Of the first pod."""
    (path,) = (file.path for file in bundle.files if file.path.startswith("kubernetes/1-"))
    spec = yaml.safe_load(bundle.text(path))["spec"]
    jobs = spec.get("replicatedJobs") or spec["template"]["spec"]["replicatedJobs"]
    found: dict[str, Any] = jobs[0]["template"]["spec"]["template"]["spec"]
    return found


def test_ranks_meet_at_the_first_pod(job, kubernetes) -> None:
    launch = kubernetes(job).launch
    name = launch.agents[0].address.partition(".")[2]
    assert [agent.address for agent in launch.agents] == [f"{name}-part-{index}-0-0.{name}" for index in range(2)]
    assert {agent.interface for agent in launch.agents} == {"eth0"}


def test_two_jobs_have_two_names_and_one_job_one(job, kubernetes) -> None:
    names = {kubernetes(job).launch.agents[0].address}
    names.add(kubernetes(job).launch.agents[0].address)
    assert len(names) == 1
    job["cluster"]["zones"][1]["nodes"][0]["gpu"] = "h100-sxm5-80gb"
    names.add(kubernetes(job).launch.agents[0].address)
    assert len(names) == 2


def test_zones_of_one_cluster_are_told_apart_by_their_label(job, kubernetes) -> None:
    job["cluster"]["zones"][0]["name"] = "no"
    job["cluster"]["links"][0]["between"] = ["no", "zone1"]
    assert pod_spec(kubernetes(job))["nodeSelector"] == {"topology.kubernetes.io/zone": "no"}


def test_pods_that_are_removed_have_the_time_to_save(job, kubernetes) -> None:
    bundle = kubernetes(job)
    given = pod_spec(bundle)["terminationGracePeriodSeconds"]
    assert given > bundle.launch.timeouts.grace_seconds >= 60


def test_one_zone_needs_no_label(job, kubernetes) -> None:
    del job["cluster"]["zones"][1], job["cluster"]["links"]
    job["plan"]["dp"] = 2
    spec = pod_spec(kubernetes(job))
    assert "nodeSelector" not in spec
    assert spec["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": 2}}


def test_a_zone_that_is_no_label_is_refused_by_name(job, kubernetes) -> None:
    job["cluster"]["zones"][0]["name"] = "Zone $(touch x)"
    job["cluster"]["links"][0]["between"][0] = "Zone $(touch x)"
    with pytest.raises(SpecError) as caught:
        kubernetes(job)
    assert [finding.where for finding in caught.value.findings] == ["cluster.zones[0].name"]


def test_a_gpu_without_a_known_label_is_refused(job, kubernetes) -> None:
    job["cluster"]["zones"][1]["nodes"][0]["gpu"] = "mi300x-192gb"
    with pytest.raises(InfeasiblePlan, match="mi300x-192gb") as caught:
        kubernetes(job)
    assert caught.value.findings[0].where == "cluster.zones[1].nodes[0].gpu"
    assert pod_spec(kubernetes(job, device="cpu"))


def test_labels_are_labels() -> None:
    assert set(KUBERNETES_PRODUCTS) <= set(gpu_names())
    assert all(" " not in label for labels in KUBERNETES_PRODUCTS.values() for label in labels)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"checkpoints": "/shared/run"}, ["--checkpoints"]),
        ({"checkpoints": "/claims/runs"}, ["--checkpoints"]),
        ({"checkpoints": "/claims/Runs/one"}, ["--checkpoints"]),
        ({"data": "/data/tokens.bin", "checkpoints": "/shared/me"}, ["--data", "--checkpoints"]),
        ({"checkpoints": None}, ["--checkpoints"]),
    ],
)
def test_paths_are_on_claims(job, kubernetes, options, where) -> None:
    with pytest.raises(SpecError) as caught:
        kubernetes(job, **options)
    assert [finding.where for finding in caught.value.findings] == where


def test_claims_are_mounted_and_a_restart_goes_on_from_them(job, kubernetes) -> None:
    bundle = kubernetes(job, data="/claims/corpus/tokens.bin", checkpoints="/claims/runs/one two")
    spec = pod_spec(bundle)
    volumes = [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in volumes] == ["corpus", "runs"]
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert [mounts[volume["name"]] for volume in volumes] == ["/claims/corpus", "/claims/runs"]
    job_set = yaml.safe_load(bundle.text("kubernetes/1-job-set.yaml"))
    assert job_set["spec"]["failurePolicy"]["maxRestarts"] == 3
    assert "ln -sfn '/claims/runs/one two/logs' logs\n" in bundle.text("launch/pod.sh")


def test_what_no_restart_mends_is_not_started_again(job, kubernetes) -> None:
    """The code with which the check of ranks ends fails the job, and with it the set."""
    bundle = kubernetes(job, checkpoints="/claims/runs/one")
    spec = yaml.safe_load(bundle.text("kubernetes/1-job-set.yaml"))["spec"]
    (rule,) = spec["failurePolicy"]["rules"]
    assert (rule["action"], rule["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])
    for each in spec["replicatedJobs"]:
        (rule,) = each["template"]["spec"]["podFailurePolicy"]["rules"]
        (container,) = each["template"]["spec"]["template"]["spec"]["containers"]
        assert rule["action"] == "FailJob"
        assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [2]}


def test_an_installation_that_fails_may_be_tried_again(job, written, tmp_path, monkeypatch) -> None:
    """pip ends with 2 where a network fails it."""
    folder, programs = written(job, "ddp", "kubernetes"), tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").write_text("#!/bin/sh\nexit 2\n")
    (programs / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    assert run(folder / "launch/pod.sh", "0").returncode == 1


def test_on_one_pod_too_checkpoints_need_a_place(job, kubernetes) -> None:
    del job["cluster"]["zones"][1], job["cluster"]["links"]
    job["plan"]["dp"] = 2
    with pytest.raises(SpecError, match="gone with it"):
        kubernetes(job, checkpoints=None)


def test_a_piece_needs_addresses_and_devices(job, kubernetes) -> None:
    del job["cluster"]["zones"][0]["nodes"][0]["addresses"]
    with pytest.raises(SpecError) as caught:
        kubernetes(job, zone="zone1")
    nodes = "cluster.zones[{}].nodes[0].{}"
    assert [finding.where for finding in caught.value.findings] == [
        nodes.format(0, "addresses"),
        nodes.format(1, "interface"),
    ]


def test_a_piece_uses_its_nodes_network(job, kubernetes) -> None:
    job["cluster"]["zones"][1]["nodes"][0]["interface"] = "ens3"
    bundle = kubernetes(job, zone="zone1")
    spec = pod_spec(bundle)
    assert spec["hostNetwork"] is True
    assert "nodeSelector" not in spec
    assert spec["containers"][0]["command"][-2:] == ["1", "10.1.0.1"]
    assert "--node-rank=1" in bundle.text("launch/zone-1/agent-1.sh")
    assert "--master-addr=10.0.0.1" in bundle.text("launch/zone-1/agent-1.sh")
    assert "launch/zone-0/agent-0.sh" not in {file.path for file in bundle.files}


@pytest.mark.parametrize(("words", "place"), [(["192.0.2.1", "127.0.0.1"], "1"), (["127.0.0.1"], "0")])
def test_a_node_knows_its_address(tmp_path, words, place) -> None:
    (tmp_path / "this_node.py").write_text(THIS_NODE)
    done = subprocess.run(
        [sys.executable, tmp_path / "this_node.py", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, place)


def test_a_node_that_is_not_named_says_so(tmp_path) -> None:
    (tmp_path / "this_node.py").write_text(THIS_NODE)
    command = [sys.executable, tmp_path / "this_node.py", "192.0.2.1", "no such host"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "192.0.2.1, no such host" in done.stderr


def test_a_run_is_created_followed_and_removed(job, written, deployed, cluster) -> None:
    folder = written(job, "ddp", "kubernetes")
    done = run(folder / "run_training.sh")
    assert done.returncode == 0, done.stderr
    assert "step 3\nall ended well\n" in done.stdout
    with tarfile.open(cluster / "files" / "bundle.tgz") as archive:
        names = set(archive.getnames())
    assert {"./configs/train.json", "./launch/pod.sh", "./src/crosszone/runtime/train.py"} <= names
    calls = (cluster / "calls").read_text()
    assert "create --filename kubernetes/1-job-set.yaml" in calls
    assert (folder / "logs/job-id").read_text().startswith("jobset cz-")
    with pytest.raises(PreflightFailed, match=r"jobset cz-.* was created from it, and not taken away"):
        service.write_bundle(deployed(job, "ddp", "kubernetes", num_steps=20), folder)
    assert run(folder / "stop_training.sh").returncode == 0
    assert service.write_bundle(deployed(job, "ddp", "kubernetes", num_steps=20), folder)
    assert "delete --ignore-not-found jobset/cz-" in (cluster / "calls").read_text()


def test_a_job_is_gone_when_its_pods_are(job, written, cluster) -> None:
    folder = written(job, "ddp", "kubernetes")
    assert run(folder / "run_training.sh").returncode == 0
    (cluster / "pods").write_text("pod/saves\n" * 2)
    assert run(folder / "stop_training.sh").returncode == 0
    assert (cluster / "calls").read_text().count("get pods") == 3, "it asks until none is left"
    assert not (folder / "logs/job-id").exists()


def test_a_job_whose_pods_do_not_end_is_not_forgotten(job, written, cluster) -> None:
    folder = written(job, "ddp", "kubernetes")
    assert run(folder / "run_training.sh").returncode == 0
    (cluster / "pods").write_text("pod/stuck\n" * 99)
    program = folder / "stop_training.sh"
    program.write_text(re.sub(r"seq \d+", "seq 2", program.read_text()))
    done = run(program)
    assert done.returncode == 1
    assert "pod/stuck" in done.stderr
    assert (folder / "logs/job-id").exists()


def test_a_failed_run_shows_its_last_lines(job, written, cluster) -> None:
    (cluster / "state").write_text("cz-1 Failed")
    done = run(written(job, "ddp", "kubernetes") / "run_training.sh")
    assert done.returncode == 1
    assert "CUDA out of memory" in done.stderr


def test_following_ends_when_the_job_was_removed(job, written, cluster) -> None:
    folder = written(job, "ddp", "kubernetes")
    (cluster / "state").write_text("")
    done = run(folder / "run_training.sh", "--follow")
    assert done.returncode == 1
    assert "is not there: it was stopped and removed, or never created" in done.stderr
    assert "get jobset cz-" in (cluster / "calls").read_text()
    assert "--ignore-not-found" in (cluster / "calls").read_text()


@pytest.mark.parametrize("state", [None, "cz-1 "])
def test_what_is_out_of_reach_or_only_begins_is_followed_on(job, written, cluster, state) -> None:
    folder = written(job, "ddp", "kubernetes")
    (cluster / "state").unlink()
    if state is not None:
        (cluster / "state").write_text(state)
    done = run(Path("/usr/bin/timeout"), "2", str(folder / "run_training.sh"), "--follow")
    assert done.returncode == 124
    assert ("the run may go on" in done.stderr) == (state is None)


@pytest.mark.parametrize(
    ("answer", "text", "code", "message"),
    [
        ("api-resources", "", 4, "has no JobSet"),
        ("nodes", "", 4, "the job needs 1 nodes"),
        ("there", "", 1, "is there already"),
    ],
)
def test_what_the_cluster_lacks_is_told_before_anything_is_created(
    job, written, cluster, answer, text, code, message
) -> None:
    (cluster / answer).write_text(text)
    done = run(written(job, "ddp", "kubernetes") / "run_training.sh")
    assert done.returncode == code
    assert message in done.stderr
    assert "create" not in (cluster / "calls").read_text()


def test_other_contexts_and_namespaces(job, written, cluster, monkeypatch) -> None:
    monkeypatch.setenv("KUBE_CONTEXT", "beijing")
    monkeypatch.setenv("NAMESPACE", "team")
    assert run(written(job, "ddp", "kubernetes") / "run_training.sh", "--follow").returncode == 0
    calls = (cluster / "calls").read_text().splitlines()
    assert all(call.startswith("--context=beijing --namespace=team ") for call in calls)


def test_what_a_framework_needs_is_installed_before_the_ranks_start(job, kubernetes) -> None:
    needs = {"image": "nvcr.io/nvidia/pytorch:1", "packages": ("g++", "git"), "setup": ("install_it.sh",)}
    files = backend("kubernetes").render(dataclasses.replace(kubernetes(job).launch, **needs))
    pod = files["launch/pod.sh"]
    steps = [
        pod.index(text) for text in ("packages=(g++ git)", "pip install", "bash ./install_it.sh", "exec bash launch/")
    ]
    assert steps == sorted(steps)
    assert "nvcr.io/nvidia/pytorch:1" in files["kubernetes/1-job-set.yaml"]


def test_several_launchers_on_one_node_are_refused(job, kubernetes) -> None:
    launch = kubernetes(job).launch
    agents = (*launch.agents, dataclasses.replace(launch.agents[0], index=2, first_rank=3))
    (finding,) = backend("kubernetes").problems(dataclasses.replace(launch, agents=agents))
    assert "3 launchers on 2 nodes" in finding.message


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "-rf", "zone,other=1", "名", "zone-"])
def test_no_zone_name_gets_further_than_a_label(job, kubernetes, name) -> None:
    job["cluster"]["zones"][0]["name"] = name
    job["cluster"]["links"][0]["between"][0] = name
    with pytest.raises(SpecError, match="value of a label"):
        kubernetes(job)
