"""The training entry of a bundle: our trainer's own source, so that nodes need torch but no installation of ours."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "crosszone"
TRAINER = "crosszone.runtime.train"
SOURCE_FOLDER = "src"
ENTRY_PATH = "entry.py"
"""A person's own program is called so in the bundle, whatever it was called before."""


def trainer_files(module: str = TRAINER) -> dict[str, str]:
    """Every file of this package that the trainer, or another `module`, imports, by its path in a bundle.

    Found by reading the import statements, those inside functions too; nothing is imported for it.
    """
    root = Path(__file__).parents[1]
    files: dict[str, str] = {}
    left = [module]
    while left:
        path = _file(root, left.pop())
        if path is None:
            continue
        in_bundle = f"{SOURCE_FOLDER}/{PACKAGE}/{path.relative_to(root).as_posix()}"
        if in_bundle in files:
            continue
        files[in_bundle], imported = _source(path)
        if path != root / "__init__.py":  # it offers everything, and loads what is asked for
            left += imported
    assert f"{SOURCE_FOLDER}/{module.replace('.', '/')}.py" in files, "the module is part of the package"
    return files


def _file(root: Path, name: str) -> Path | None:
    parts = name.split(".")[1:]
    for path in (root.joinpath(*parts, "__init__.py"), root.joinpath(*parts).with_suffix(".py")):
        if path.is_file():
            return path
    return None


@functools.cache
def _source(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file of this package, and what it imports; every bundle brings much of the same."""
    text = path.read_text(encoding="utf-8")
    return text, tuple(dict.fromkeys(_imported(text)))


def _imported(text: str) -> Iterator[str]:
    """Dotted names of this package that a file imports, and the packages around them."""
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
