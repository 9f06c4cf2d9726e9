"""A bundle in its folder: what would change, and how it gets there, whole or not at all."""

import difflib
import json
import os
import shutil
from pathlib import Path

from crosszone.core.bundle import Bundle, BundleFile, FileChange
from crosszone.deploy.assemble import MANIFEST_PATH
from crosszone.errors import Finding, SpecError


def changes(bundle: Bundle, folder: Path) -> tuple[FileChange, ...]:
    """How `bundle` differs from what `folder` holds of it, by path; all is added where there is no folder.

    Files that no bundle brought (logs, checkpoints) do not count. Errors: SpecError where the folder is no bundle's.
    """
    before = {path: _text(folder / path) for path in _listed(folder)}
    after = {file.path: file.text for file in bundle.files}
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = "added" if old is None else "removed" if new is None else "changed"
        found.append(FileChange(path=path, kind=kind, difference=_difference(path, old, new)))
    return tuple(found)


def write_bundle(bundle: Bundle, folder: Path, *, is_forced: bool = False) -> tuple[FileChange, ...]:
    """Put `bundle` into `folder`, and tell what changed. What a run left there stays.

    Errors: SpecError where the folder holds something else, or files that somebody edited and `is_forced` is not set.
    """
    if not folder.parent.is_dir():
        message = f'there is no folder "{folder.parent}".'
        raise SpecError.of(message, where=str(folder), hint="Make it first, or name another one.", code="unwritable")
    found = changes(bundle, folder)
    edited = _edited(folder)
    if edited and not is_forced:
        raise SpecError(*edited)
    if found:
        _replace(bundle, folder)
    return found


def _replace(bundle: Bundle, folder: Path) -> None:
    new = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        for file in bundle.files:
            _write(new, file)
        if not folder.exists():
            new.rename(folder)
            return
        kept = _kept(folder)
        folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        for path in kept:
            if not (folder / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (old / path).rename(folder / path)
        shutil.rmtree(old)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write(folder: Path, file: BundleFile) -> None:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text, encoding="utf-8", newline="")
    path.chmod(0o755 if file.is_executable else 0o644)


def _manifest(folder: Path) -> dict[str, str]:
    """Hash of each file that a bundle brought, by path; empty where there is nothing yet."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return {}
    try:
        value = json.loads((folder / MANIFEST_PATH).read_text(encoding="utf-8"))
        files = {str(path): str(facts["sha256"]) for path, facts in value["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _no_bundle(folder) from None
    if value.get("kind") != "crosszone-bundle" or any(Path(path).is_absolute() or ".." in path for path in files):
        raise _no_bundle(folder)
    return files


def _no_bundle(folder: Path) -> SpecError:
    return SpecError.of(
        "there is something else than a bundle.",
        where=str(folder),
        hint="Name another folder, or empty this one.",
        code="unwritable",
    )


def _listed(folder: Path) -> tuple[str, ...]:
    files = _manifest(folder)
    return (*files, MANIFEST_PATH) if files else ()


def _edited(folder: Path) -> tuple[Finding, ...]:
    """Files whose content is not what the bundle brought."""
    found = []
    for path, sha256 in _manifest(folder).items():
        text = _text(folder / path)
        if text is None or BundleFile(path=path, text=text).sha256 != sha256:
            what = "was removed" if text is None else "was edited"
            found.append(
                Finding(
                    code="edited",
                    where=str(folder / path),
                    message=f"it {what} after it was rendered.",
                    hint="--force renders it again; --diff shows the difference.",
                )
            )
    return tuple(found)


def _kept(folder: Path) -> tuple[str, ...]:
    """What no bundle brought: whole folders where nothing in them is listed, else files."""
    listed = set(_listed(folder))
    around = {parent.as_posix() for path in listed for parent in Path(path).parents}
    found, left = [], [folder]
    while left:
        for each in left.pop().iterdir():
            path = each.relative_to(folder).as_posix()
            if each.is_dir() and not each.is_symlink() and path in around:
                left.append(each)
            elif path not in listed and each.name != "__pycache__":
                found.append(path)
    return tuple(found)


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return None


def _difference(path: str, old: str | None, new: str | None) -> str:
    lines = difflib.unified_diff(
        (old or "").splitlines(keepends=True),
        (new or "").splitlines(keepends=True),
        fromfile="/dev/null" if old is None else f"a/{path}",
        tofile="/dev/null" if new is None else f"b/{path}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
