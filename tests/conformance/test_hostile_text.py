"""Whatever a person writes is text in a bundle, never code: names, addresses, paths and words that try to be programs.

Each case puts such texts at a few places of a job and of its options, and renders them for one framework and backend.
They are refused by name, or every script is run where only stand-ins answer, and every other file is held against one
rendered from plain texts: it must have the same shape, so that no text became a key, a statement or a line.
"""

import ast
import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from crosszone import service
from crosszone.core.bundle import Bundle
from crosszone.deploy.backends import backend_names
from crosszone.deploy.frameworks import rendered_frameworks
from crosszone.errors import CrossZoneError

NUM_CASES = 60
NUM_SOAK_CASES = 10_000
CASES_PER_TEST = 10
TRAPS = (
    "$({})", "`{}`", "'; {}; '", '"; {}; "', "\n{}\n", "; {} #", "&& {}", "| {}", "$(({}))", "${{IFS}}{}", "\\'; {}",
    "--rdzv-id=$({})", "-oProxyCommand={}", "-c {}", "--help", "-", "../../{}", "/etc/$({})", "' + __import__('os')",
    '""" + x + """', "{{{{ {} }}}}", "<% {} %>", "!!python/object/apply:os.system ['{}']", "key: [{}", "- {}\n- b",
    "\u2028{}", "北京$({})", "é;{}", "\t{}", "\r\n{}", "*?[a-z]~", "#{}", "%s%n{}", "\\x00{}", "\x1b[2J{}",
    "EOF\n{}\nEOF", "'\"$'\\x41'", "a b", "", ".", "~/x", "host:22;{}", "[::1]", "a" * 300, "\u202e{}", "null", "yes",
    "0x10", "1e9", "!{}",
)  # fmt: skip
CANARY = ">~/canary"
"""Short, as names may be; scripts are run with a folder of the test as their home."""
PLACES = (
    "zone", "region", "scheduler", "model", "address", "interface", "image", "entry", "data", "checkpoints",
)  # fmt: skip
PLAIN = {
    "zone": "north", "region": "home", "scheduler": "slurm", "model": "tiny", "address": "10.0.0.1",
    "interface": "eth0", "image": "docker.io/library/python:3.11", "data": "/data/tokens", "checkpoints": "/shared/run",
}  # fmt: skip
SAFE_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
ANSWERS = {
    "getent": "echo 10.0.0.9 STREAM x",
    "ip": "echo 10.0.0.9 dev eth0 src 10.0.0.8",
    "ssh": 'while [ "$1" != -- ]; do shift; done; shift; shift; cd "$HOME" && bash -c "$*"',
    "srun": 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "sbatch": "echo 7",
    **dict.fromkeys(
        ("kubectl", "sky", "mpirun", "mpiexec", "horovodrun", "squeue", "sacct", "scancel", "pip"), "echo 0"
    ),
    **dict.fromkeys(("setsid", "nohup"), 'exec "$@"'),
}
"""Stand-ins by the program's name, as bash: they pass on what a real one would run, and do nothing else."""


@pytest.mark.parametrize("seed", range(0, NUM_CASES, CASES_PER_TEST))
def test_no_text_becomes_code(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(NUM_CASES, NUM_CASES + NUM_SOAK_CASES, CASES_PER_TEST))
def test_no_text_becomes_code_soak(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


def check(first: int, folder: Path) -> None:
    stand_ins = made_stand_ins(folder / "bin")
    for seed in range(first, first + CASES_PER_TEST):
        random_ = random.Random(seed)
        texts = {place: _text(random_, place) for place in random_.sample(PLACES, random_.randint(1, 3))}
        arguments = [_text(random_, "") for _ in range(random_.randint(0, 3))]
        cell = random_.choice(rendered_frameworks()), random_.choice(backend_names()), bool(arguments)
        try:
            found = bundle(*cell, folder, texts, arguments)
        except CrossZoneError:
            continue
        plain = _plain(*cell, "entry" in texts)
        for path in (file.path for file in found.files):
            assert SAFE_PATH.fullmatch(path), path
        if plain is not None:
            assert shape(found) == shape(plain)
        run_scripts(found, folder / f"bundle-{seed}", stand_ins)
        assert not list(folder.rglob("canary")), f"seed {seed}, {cell}: {texts} {arguments}"


def bundle(
    framework: str, backend: str, has_entry: bool, folder: Path, texts: dict[str, str], arguments: list[str]
) -> Bundle:
    """The bundle of a job over two zones with these texts; CrossZoneError where it is refused."""
    at = PLAIN | texts
    entry = None
    if has_entry or "entry" in texts:
        entry = folder / (re.sub(r"[/\0]", "_", texts.get("entry", "mine"))[:80] or "mine")
        if not entry.is_dir():  # as "." is, which is refused
            entry.write_text("print('mine')\n")
    node = {"count": 1, "gpu": "a100-sxm4-80gb", "network": "100 Gbit/s"}
    given = {"addresses": [at["address"]], "interface": at["interface"], "image": at["image"]}
    zone = {"name": at["zone"], "region": at["region"], "scheduler": at["scheduler"]}
    job: dict[str, Any] = {
        "model": {
            "name": at["model"],
            "num_layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {
            "zones": [
                {**zone, "nodes": [{**node, **given, "gpus_per_node": 2}]},
                {"name": "south", "nodes": [{**node, "addresses": ["10.1.0.1"], "gpus_per_node": 1}]},
            ],
            "links": [{"between": [at["zone"], "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
        "plan": {"dp": 3, "microbatch_size": 2},
    }
    return service.deploy(
        service.read(job),
        framework=framework,
        backend=backend,
        device="cpu" if backend == "local" else "cuda",
        num_steps=10,
        data=at["data"],
        checkpoints=at["checkpoints"],
        entry=None if entry is None else str(entry),
        arguments=arguments if entry is not None else (),
    )


def run_scripts(found: Bundle, folder: Path, stand_ins: Path) -> None:
    """Run every script of a bundle where nothing but stand-ins and the shell's own tools answer."""
    service.write_bundle(found, folder)
    around = {"PATH": f"{stand_ins}:/usr/bin:/bin", "HOME": str(folder), "FOLLOW_SECONDS": "0", "SLURM_NODEID": "0"}
    for file in found.files:
        if file.path.endswith((".sh", ".sbatch")):
            subprocess.run(["bash", "-n", file.path], cwd=folder, check=True, timeout=10, capture_output=True)
            command = ["timeout", "-k", "1", "2", "bash", file.path]
            subprocess.run(command, cwd=folder, env=around, capture_output=True, stdin=subprocess.DEVNULL, check=False)


def made_stand_ins(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, line in {**ANSWERS, "python3": "true", "python": "true", "torchrun": "true", "sleep": "true"}.items():
        program = folder / name
        program.write_text(f"#!/bin/bash\n{line}\n")
        program.chmod(0o755)
    return folder


def shape(found: Bundle) -> dict[str, Any]:
    """By path: the keys of data files, the syntax of Python without its texts, the number of lines of scripts."""
    return dict(_shapes(found))


def _shapes(found: Bundle) -> Iterator[tuple[str, Any]]:
    for file in found.files:
        if file.path in ("metadata.json", "README.md", "README.zh.md", "entry.py") or file.path.startswith("src/"):
            continue
        if file.path.endswith(".json"):
            yield file.path, _keys(json.loads(file.text))
        elif file.path.endswith((".yaml", ".yml")):
            yield file.path, [_keys(value) for value in YAML(typ="safe", pure=True).load_all(file.text)]
        elif file.path.endswith(".py"):
            yield file.path, ast.dump(_Blank().visit(ast.parse(file.text)))
        elif file.path.endswith("Containerfile"):
            yield file.path, len(file.text.splitlines())


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _keys(item) for key, item in value.items()}
    if isinstance(value, list):  # words of a command may be more or fewer
        return [] if all(isinstance(item, str | int | float) for item in value) else [_keys(item) for item in value]
    return None


class _Blank(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant(value=None), node)

    def visit_List(self, node: ast.List) -> ast.AST:
        """Lists of words may be longer or shorter."""
        self.generic_visit(node)
        is_plain = all(isinstance(item, ast.Constant) for item in node.elts)
        return ast.copy_location(ast.List(elts=[], ctx=node.ctx), node) if is_plain else node


@cache
def _plain(framework: str, backend: str, has_arguments: bool, has_entry: bool) -> Bundle | None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        texts = {"entry": "mine"} if has_entry else {}
        try:
            return bundle(framework, backend, has_arguments, Path(folder), texts, ["word"] if has_arguments else [])
        except CrossZoneError:
            return None


def _text(random_: random.Random, place: str) -> str:
    """A trap, or two, mostly behind a plain beginning."""
    traps = [random_.choice(TRAPS).format(CANARY) for _ in range(random_.randint(1, 2))]
    start = "/data/" if place in ("data", "checkpoints") else random_.choice(("", "a", "10.0.0.1"))
    return start + "".join(traps)


def test_a_planted_hole_is_found(tmp_path: Path) -> None:
    """The check itself: a script that runs its text leaves a canary."""
    stand_ins = made_stand_ins(tmp_path / "bin")
    program = tmp_path / "hole.sh"
    program.write_text(f'ssh -- host "echo $({CANARY})"\n')
    around = {**os.environ, "PATH": f"{stand_ins}:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(["bash", str(program)], env=around, check=True, timeout=10, capture_output=True)
    assert (tmp_path / "canary").exists()
