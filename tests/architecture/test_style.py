"""The rules of shape that a program can hold: sizes, names of files, frozen nouns, documented formulas."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
EXCUSE = "Long because"  # in the docstring of a function that is longer for a reason

VAGUE_FILES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py", "base_utils.py"}
NOUN_OPTIONS = {"frozen", "slots", "kw_only"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def num_lines(node: FunctionNode) -> int:
    """Lines of a function from its `def` on, without its docstring: a derivation is not length."""
    first = node.body[0]
    has_docstring = ast.get_docstring(node) is not None
    docstring_lines = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring_lines


def test_files_hold_one_idea(project_files, root):
    sources = [path for path in project_files if path.suffix == ".py" and path.parts[0] == "src"]
    long = {str(path): len((root / path).read_text(encoding="utf-8").splitlines()) for path in sources}
    assert not {path: lines for path, lines in long.items() if lines > MAX_FILE_LINES}


def test_files_have_names_that_say_something(source_trees):
    assert not [str(path) for path in source_trees if path.name in VAGUE_FILES]


def test_functions_fit_on_a_screen(package_trees):
    faults = [
        f"{path}:{node.lineno}: {node.name} has {num_lines(node)} lines"
        for path, tree in package_trees.items()
        for node in functions(tree)
        if num_lines(node) > MAX_FUNCTION_LINES and EXCUSE not in (ast.get_docstring(node) or "")
    ]
    assert not faults, f'split them, or say "{EXCUSE} ..." in the docstring:\n' + "\n".join(faults)


def test_modules_say_what_they_are(package_trees):
    assert not [str(path) for path, tree in package_trees.items() if tree.body and not ast.get_docstring(tree)]


def test_nouns_are_frozen_dataclasses(package_trees):
    faults = [
        f"{path}:{node.lineno}: {node.name} lacks {sorted(missing)}"
        for path, tree in package_trees.items()
        if path.parts[0] == "core"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and (missing := missing_noun_options(node))
    ]
    assert not faults, "\n".join(faults)


def missing_noun_options(node: ast.ClassDef) -> set[str]:
    """The options that a dataclass decorator lacks; nothing for a class that is no dataclass."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = call.func if call else decorator
        if isinstance(name, ast.Name) and name.id == "dataclass":
            keywords = call.keywords if call else []
            given = {keyword.arg for keyword in keywords if getattr(keyword.value, "value", None) is True}
            return NOUN_OPTIONS - given
    return set()


def test_formulas_are_documented(package_trees):
    faults = [
        f"{path}:{node.lineno}: {node.name}"
        for path, tree in package_trees.items()
        if path.parts[0] == "cost"
        for node in tree.body
        if isinstance(node, FunctionNode) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not faults, "a public cost function has its derivation as docstring:\n" + "\n".join(faults)


def test_a_todo_names_an_issue(source_trees, root):
    bare = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    faults = [
        f"{path}:{number}: {line.strip()}"
        for path in source_trees
        if path.name != "test_style.py"
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1)
        if bare.search(line)
    ]
    assert not faults, "write TODO(#12):\n" + "\n".join(faults)


def test_a_long_function_is_seen_and_its_docstring_is_not_counted():
    body = "\n".join(f"    x = {number}" for number in range(MAX_FUNCTION_LINES))
    plain = next(functions(ast.parse(f"def f():\n{body}\n")))
    documented = next(functions(ast.parse(f'def f():\n    """One.\n\n    Two.\n    """\n{body}\n')))
    assert num_lines(plain) == num_lines(documented) == MAX_FUNCTION_LINES + 1


def test_a_noun_that_can_change_is_seen():
    loose = ast.parse("@dataclass(frozen=True, slots=False)\nclass Model:\n    name: str\n").body[0]
    assert isinstance(loose, ast.ClassDef)
    assert missing_noun_options(loose) == {"slots", "kw_only"}
