"""What the architecture tests look at: the files of the project, parsed once."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> tuple[Path, ...]:
    """Every file that belongs to the project, relative to the root; what git ignores does not."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        names = (Path(name) for name in listed.split("\0") if name)
    else:  # an unpacked source distribution
        names = (
            path.relative_to(ROOT) for top in ("src", "tests", "docs", "examples") for path in (ROOT / top).rglob("*")
        )
    return tuple(sorted(name for name in names if (ROOT / name).is_file() and "__pycache__" not in name.parts))


@pytest.fixture(scope="session")
def source_trees(project_files) -> dict[Path, ast.Module]:
    """The syntax tree of every Python file under src, tests, benchmarks and examples."""
    tops = {"src", "tests", "benchmarks", "examples"}
    paths = (path for path in project_files if path.suffix == ".py" and path.parts[0] in tops)
    return {path: ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path)) for path in paths}


@pytest.fixture(scope="session")
def package_trees(source_trees) -> dict[Path, ast.Module]:
    """The syntax tree of every file of the package, by its path inside src/crosszone."""
    package = Path("src/crosszone")
    return {path.relative_to(package): tree for path, tree in source_trees.items() if path.is_relative_to(package)}
