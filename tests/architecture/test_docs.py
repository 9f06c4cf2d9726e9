"""Every command, job-file key and public name appears in the documents, written as code.

The commands, keys and names are discovered from the program, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re

import pytest

CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]+`", re.DOTALL)


def module_or_skip(name: str):
    """The module, or a skip where it does not exist yet; one that exists and fails to import is a failure."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} does not exist yet")
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def documented_words(root) -> set[str]:
    """Every word inside a code span or block of the README and of docs/; the vocabulary does not count."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    pages = [page for page in pages if not page.name.startswith("vocabulary.")]
    code = (match[0] for page in pages for match in CODE.finditer(page.read_text(encoding="utf-8")))
    return {word for text in code for word in re.findall(r"[A-Za-z_][\w-]*", text)}


def commands(command, prefix: str = "") -> list[str]:
    """All words that follow `crosszone`: "plan", "catalog", "gpus"."""
    found = []
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            found += [name, *commands(child)]
    return found


def options(command) -> set[str]:
    """All long options of a command and of those below it, without their dashes."""
    own = {text.lstrip("-") for parameter in command.params for text in parameter.opts if text.startswith("--")}
    return own.union(*(options(child) for child in getattr(command, "commands", {}).values()))


def spec_keys() -> set[str]:
    """All keys that a job file may have: the fields of the models in crosszone.spec, as people write them."""
    from pydantic import BaseModel

    spec = module_or_skip("crosszone.spec")
    for info in pkgutil.walk_packages(spec.__path__, "crosszone.spec."):
        importlib.import_module(info.name)
    models = [model for model in all_subclasses(BaseModel) if model.__module__.startswith("crosszone.spec")]
    assert models, "crosszone.spec has no pydantic model; where are the keys?"
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def all_subclasses(cls: type) -> set:
    return {cls}.union(*(all_subclasses(child) for child in cls.__subclasses__()))


def command_line():
    module_or_skip("crosszone.cli")
    import typer

    from crosszone.cli.app import program

    return typer.main.get_command(program())


def test_every_command_is_documented(documented_words):
    assert not set(commands(command_line())) - documented_words


def test_every_option_is_documented(documented_words):
    assert not options(command_line()) - {"help", "install-completion", "show-completion"} - documented_words


def test_every_job_file_key_is_documented(documented_words):
    assert not spec_keys() - documented_words


def test_every_public_name_is_documented_and_there(documented_words):
    crosszone = importlib.import_module("crosszone")
    names = getattr(crosszone, "__all__", None)
    if names is None:
        pytest.skip("crosszone has no public names yet")
    assert len(names) == len(set(names))
    assert not [name for name in names if not hasattr(crosszone, name)]
    assert not set(names) - documented_words


def test_links_between_documents_lead_somewhere(root):
    link = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")
    pages = [*root.glob("*.md"), *sorted((root / "docs").rglob("*.md"))]
    broken = [
        f"{page.relative_to(root)}: {match[1]}"
        for page in pages
        for match in link.finditer(page.read_text(encoding="utf-8"))
        if not (page.parent / match[1]).exists()
    ]
    assert not broken
