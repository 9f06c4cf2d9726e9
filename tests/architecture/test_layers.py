"""Imports point one way, and each package imports only the libraries that are its business."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STEPS = (
    ("errors",),
    ("units", "words"),
    ("core",),
    ("processes", "checkpoints"),
    ("catalog", "cost", "trace"),
    ("frameworks", "spec", "timeline"),
    ("planner", "deploy", "launch", "runtime", "verify", "store"),
    ("sweeps", "control"),
    ("service",),
    ("cli", "server"),
)
"""From the bottom up. A package imports itself and lower steps, never its own step or a higher one."""

STEP_OF = {package: step for step, packages in enumerate(STEPS) for package in packages}
ROOM_FILES = ("__init__", "__main__", "_version")  # of crosszone itself: they may name everything

THIRD_PARTY = {
    "errors": set(),
    "units": set(),
    "words": set(),
    "core": set(),
    "processes": set(),
    "checkpoints": set(),
    "core/tables.py": {"numpy"},
    "core/schedules": {"numpy"},  # in-flight counts of whole columns of plans
    "catalog": {"numpy"},
    "cost": {"numpy"},
    "trace": {"numpy"},
    "frameworks": {"numpy"},
    "spec": {"pydantic", "pydantic_core", "ruamel"},
    "timeline": {"numpy"},
    "planner": {"numpy", "scipy"},
    "deploy": {"ruamel"},
    "launch": set(),
    "runtime": {"torch", "numpy", "transformers"},
    "runtime/titan.py": {"torch", "torchtitan"},  # which loads it
    "verify": {"numpy", "openpyxl"},
    "store": {"sqlalchemy", "alembic"},
    "sweeps": {"distributed", "pyarrow"},
    "control": set(),
    "service": {"numpy"},
    "cli": {"typer", "rich", "click"},
    "server": {"fastapi", "starlette", "uvicorn", "sse_starlette", "structlog", "prometheus_client"},
}
"""What each package may import besides the standard library; a folder or file inside may have a row of its own."""

USER_INTERFACES = ("cli", "server")
STARTS_SERVER = Path("cli/serve.py")
"""The verb that starts the server: the one file that reaches from one user interface to the other."""
BELOW_USER_INTERFACES = {"errors", "units", "words", "core", "processes", "service"}


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that a file imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the whole name"
            if node.module == "crosszone":
                yield from (f"crosszone.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def layering_fault(package: str, imported: str) -> str | None:
    """Why a file of `package` must not import `imported`, or None."""
    top, _, rest = imported.partition(".")
    if top != "crosszone":
        return None
    target = rest.partition(".")[0]
    if target == package:
        return None
    if target not in STEP_OF:
        return f"imports {imported}, which is on no step"
    if STEP_OF[target] >= STEP_OF[package]:
        return f"imports {imported}, which is on the same step or above"
    if package in USER_INTERFACES and target not in BELOW_USER_INTERFACES:
        return f"imports {imported}; what is below service is reached through service"
    return None


def library_fault(path: Path, imported: str) -> str | None:
    """Why the file `path` must not import the library `imported`, or None."""
    top = imported.partition(".")[0]
    if top == "crosszone" or top in sys.stdlib_module_names:
        return None
    places = [path.as_posix(), *(parent.as_posix() for parent in path.parents), package_of(path)]
    allowed = next(THIRD_PARTY[place] for place in places if place in THIRD_PARTY)
    return None if top in allowed else f"imports {top}"


def package_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def rooms(package_trees):
    return {path: tree for path, tree in package_trees.items() if package_of(path) not in ROOM_FILES}


def test_every_package_has_a_step_and_libraries(package_trees):
    packages = {package_of(path) for path in rooms(package_trees)}
    assert packages <= set(STEP_OF), "give the new package a place in STEPS"
    assert set(STEP_OF) <= set(THIRD_PARTY)


def test_imports_point_one_way(package_trees):
    faults = [
        f"{path}: {fault}"
        for path, tree in rooms(package_trees).items()
        for imported in imported_modules(tree)
        if not (path == STARTS_SERVER and imported.startswith("crosszone.server."))
        if (fault := layering_fault(package_of(path), imported))
    ]
    assert not faults, "\n".join(faults)


def test_libraries_stay_where_they_belong(package_trees):
    faults = [
        f"{path}: {fault}"
        for path, tree in rooms(package_trees).items()
        for imported in imported_modules(tree)
        if (fault := library_fault(path, imported))
    ]
    assert not faults, "\n".join(faults)


def test_the_package_itself_imports_nothing_heavy_when_imported(package_trees):
    tree = package_trees[Path("__init__.py")]
    eager = ast.Module(
        body=[node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], type_ignores=[]
    )
    for imported in imported_modules(eager):
        assert imported.partition(".")[0] in sys.stdlib_module_names, f"crosszone/__init__.py imports {imported}"


@pytest.mark.parametrize(
    ("package", "imported", "is_fault"),
    [
        ("cost", "crosszone.core.model", False),
        ("cost", "crosszone.catalog", True),
        ("cost", "crosszone.planner.search", True),
        ("core", "crosszone.cost", True),
        ("cli", "crosszone.service", False),
        ("cli", "crosszone.planner", True),
        ("cli", "crosszone.server", True),
        ("units", "crosszone.errors", False),
        ("errors", "crosszone.units", True),
        ("cost", "crosszone.elsewhere", True),
        ("cost", "crosszone.cost.memory", False),
    ],
)
def test_the_rule_itself(package, imported, is_fault):
    assert (layering_fault(package, imported) is not None) is is_fault


@pytest.mark.parametrize(
    ("path", "imported", "is_fault"),
    [
        ("core/plan.py", "numpy", True),
        ("core/tables.py", "numpy.typing", False),
        ("core/schedules/gpipe.py", "numpy", False),
        ("cost/memory.py", "pydantic", True),
        ("spec/job.py", "pydantic", False),
        ("runtime/worker.py", "torch.distributed", False),
        ("planner/search.py", "torch", True),
        ("units.py", "re", False),
    ],
)
def test_the_library_rule_itself(path, imported, is_fault):
    assert (library_fault(Path(path), imported) is not None) is is_fault
