"""Every framework's renderer with every backend, over five kinds of plan: it renders, or says why it cannot.

What is rendered is held against the programs that read it: bash, shellcheck, torchrun's own parser, our trainer's own
reader.
"""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crosszone.core.bundle import HOROVODRUN, TORCHRUN
from crosszone.core.train import train_config
from crosszone.deploy.backends import backend, backend_names
from crosszone.deploy.frameworks import framework_renderer, rendered_frameworks
from crosszone.errors import InfeasiblePlan

ROOT = Path(__file__).parents[2]


def _cells() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle_cells", ROOT / "benchmarks/bundles/cells.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CELLS_PAGE = _cells()
KINDS, CELLS, rendered, refusal = CELLS_PAGE.KINDS, CELLS_PAGE.CELLS, CELLS_PAGE.rendered, CELLS_PAGE.refusal
CANNOT = {
    ("ddp", "three zones pp"),
    ("fsdp", "three zones pp"),
    ("horovod", "three zones pp"),
    ("megatron", "mixed GPUs"),
}
"""(framework, kind of plan): the first three have no stages, the last no kernels for V100."""
MODULES = {"torchtitan": "torchtitan.train", "megatron": "pretrain_gpt"}
"""What ranks run, where it is not our trainer."""
NO_TORCHRUN = ("mpi",)
"""Backends that start ranks themselves; tests/e2e/test_mpi.py runs them."""


def cells_that_render() -> list[Any]:
    return [pytest.param(*cell, id=" ".join(cell)) for cell in CELLS if not cannot(*cell)]


def cannot(framework: str, name: str, kind: str) -> bool:
    if framework == "horovod" and HOROVODRUN not in backend(name).LAUNCHERS:
        return True
    needs_gpus = framework in CELLS_PAGE.GPUS_ONLY and name in CELLS_PAGE.CPU_BACKENDS
    return (framework, kind) in CANNOT or (needs_gpus and kind != "one node")


@pytest.mark.parametrize(("framework", "name", "kind"), [cell for cell in CELLS if cannot(*cell)])
def test_what_cannot_be_expressed_says_why(framework: str, name: str, kind: str) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        rendered(framework, name, kind)
    assert all(framework in finding.message or name in finding.message for finding in caught.value.findings)


@pytest.fixture(scope="module")
def clean() -> set[tuple[Any, ...]]:
    """Scripts without a finding, each with what it sources: most are the same in several cells."""
    return set()


@pytest.mark.parametrize(("framework", "name", "kind"), cells_that_render())
def test_scripts_are_clean(framework: str, name: str, kind: str, clean: set[tuple[Any, ...]], tmp_path: Path) -> None:
    scripts = {file.path: file.text for file in rendered(framework, name, kind).files if file.path.endswith(".sh")}
    assert scripts
    for path, text in scripts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    paths = [path for path in scripts if with_sources(path, scripts) not in clean]
    for path in paths:
        subprocess.run(["bash", "-n", path], cwd=tmp_path, check=True, timeout=30)
    if shutil.which("shellcheck") is None:
        pytest.skip("bash -n passed; shellcheck is not installed")
    if paths:
        command = ["shellcheck", "--external-sources", *paths]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout
    clean.update(with_sources(path, scripts) for path in paths)


def with_sources(path: str, scripts: dict[str, str]) -> tuple[Any, ...]:
    sources = re.findall(r"# shellcheck source=(\S+)", scripts[path])
    return (path, scripts[path], *(with_sources(source, scripts) for source in sources))


@pytest.mark.parametrize(
    ("framework", "name", "kind"),
    [cell for cell in cells_that_render() if cell.values[1] not in NO_TORCHRUN and cell.values[0] != "horovod"],
)
def test_torchrun_takes_its_arguments(framework: str, name: str, kind: str) -> None:
    run = pytest.importorskip("torch.distributed.run")
    bundle = rendered(framework, name, kind)
    calls = [
        shlex.split(line)[2:]
        for file in bundle.files
        for line in file.text.splitlines()
        if file.path.endswith(".sh") and line.startswith('exec "${PYTHON')
    ]
    assert len(calls) == len(bundle.launch.agents)
    parsed = [run.get_args_parser().parse_args(words[2:]) for words in calls]
    assert sum(int(options.nproc_per_node) for options in parsed) == bundle.launch.world_size == world_size(kind)
    assert {options.training_script for options in parsed} == {MODULES.get(framework, "crosszone.runtime.train")}
    assert all(options.module for options in parsed)
    if len(parsed) > 1:
        assert [options.node_rank for options in parsed] == list(range(len(parsed)))
        assert {options.nnodes for options in parsed} == {str(len(parsed))}
        assert {options.rdzv_backend for options in parsed} == {"static"}


@pytest.mark.parametrize(("framework", "name", "kind"), cells_that_render())
def test_nothing_is_left_to_guess(framework: str, name: str, kind: str) -> None:
    bundle = rendered(framework, name, kind)
    if framework not in MODULES:
        config = train_config(json.loads(bundle.text("configs/train.json")))
        assert len(config.rank_microbatches) * (len(config.stage_layers) or 1) == bundle.launch.world_size
        assert config.global_batch_size == 24
    ours = [file for file in bundle.files if not file.path.startswith("src/")]
    placeholder = re.compile(r'"auto"|\bTODO\b|\bFIXME\b|<[a-z_]+>|CHANGE_?ME|master-node-ip')
    assert not [file.path for file in ours if placeholder.search(file.text)]
    assert all(file.text.endswith("\n") and "\r" not in file.text for file in ours)


@pytest.mark.parametrize("name", backend_names())
def test_rendering_is_pure_and_says_what_to_do(name: str) -> None:
    module = backend(name)
    launch = rendered("ddp", name, "one zone").launch
    assert module.__doc__
    assert module.TITLE
    assert module.STEPS.keys() == {"en", "zh"}
    assert len(module.STEPS["en"]) == len(module.STEPS["zh"])
    assert module.render(launch) == module.render(launch)
    assert TORCHRUN in module.LAUNCHERS


@pytest.mark.parametrize("name", rendered_frameworks())
def test_a_framework_says_what_it_runs_and_needs(name: str) -> None:
    module = framework_renderer(name)
    assert module.__doc__
    assert callable(module.program)
    assert all(re.fullmatch(r"[a-z0-9-]+(==|>=)[0-9.]+", line) for line in module.REQUIREMENTS)


@pytest.mark.parametrize("name", [name for name in rendered_frameworks() if name != "megatron"])
def test_nodes_get_the_versions_that_the_tests_run_with(name: str) -> None:
    """Megatron's come with NVIDIA's image, whose builds have versions of their own."""
    tested = (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    assert set(framework_renderer(name).REQUIREMENTS) <= set(tested)


@pytest.mark.generated
def test_the_page_of_cells_is_what_is_rendered_today() -> None:
    assert CELLS_PAGE.PAGE.read_text(encoding="utf-8") == CELLS_PAGE.page(), "benchmarks/bundles/cells.py --write"


def test_every_framework_and_backend_was_proved_by_a_test_that_exists() -> None:
    assert CELLS_PAGE.PROVED.keys() == {*rendered_frameworks(), *backend_names()}
    tests = {test for proofs in CELLS_PAGE.PROVED.values() for _, test in proofs}
    assert not [test for test in tests if not (ROOT / test).is_file()]


def world_size(kind: str) -> int:
    return int(KINDS[kind][1]["dp"] * KINDS[kind][1].get("pp", 1))
