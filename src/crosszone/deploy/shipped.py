"""What every bundle of our trainer brings for a person's own use, under names that people know: scripts/ and utils/.

Each is a few lines that hand over to a module of `crosszone.runtime`, whose source the bundle carries.
"""

import ast
from pathlib import Path

from crosszone.deploy.entry import SOURCE_FOLDER, trainer_files

SCRIPTS = {
    "scripts/setup_cluster.py": "crosszone.runtime.setup_cluster",
    "scripts/distributed_train.py": "crosszone.runtime.distributed_train",
    "scripts/evaluate_scaling.py": "crosszone.runtime.evaluate_scaling",
}
"""Programs by path: the module whose `main` they run."""
UTILS = {
    "utils/distributed_utils.py": "crosszone.runtime.distributed_utils",
    "utils/communication.py": "crosszone.runtime.communication",
}
"""Modules by path: the one whose public names they offer."""
OUR_TRAINER_ONLY = ("scripts/distributed_train.py", "scripts/evaluate_scaling.py")
"""Of no use beside a program of one's own."""


def shipped_files(*, has_own_program: bool) -> dict[str, str]:
    """The files by path, and all source that they import."""
    scripts = {path: name for path, name in SCRIPTS.items() if not (has_own_program and path in OUR_TRAINER_ONLY)}
    files = {"utils/__init__.py": '"""Helpers for a training program of one\'s own."""\n'}
    for name in (*scripts.values(), *UTILS.values()):
        files |= trainer_files(name)
    files |= {path: _script(name) for path, name in scripts.items()}
    return files | {path: _module(name) for path, name in UTILS.items()}


def _script(name: str) -> str:
    return (
        "#!/usr/bin/env python3\n"
        f'"""{_summary(name)}"""\n\n'
        "import sys\nfrom pathlib import Path\n\n"
        f'sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "{SOURCE_FOLDER}"))\n\n'
        f"from {name} import main  # noqa: E402\n\n"
        'if __name__ == "__main__":\n    sys.exit(main())\n'
    )


def _module(name: str) -> str:
    names = _public_names(name)
    return f'"""{_summary(name)}"""\n\nfrom {name} import {", ".join(names)}\n\n__all__ = {names!r}\n'


def _summary(name: str) -> str:
    return (ast.get_docstring(_tree(name)) or "").splitlines()[0]


def _public_names(name: str) -> list[str]:
    for node in _tree(name).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{name} says in __all__ what it offers")


def _tree(name: str) -> ast.Module:
    path = Path(__file__).parents[1].joinpath(*name.split(".")[1:]).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))
