"""A bundle in its folder: what would change, and how it gets there, whole or not at all."""

import contextlib
import difflib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from crosszone.core.bundle import BUNDLE_KIND, MANIFEST_PATH, Bundle, BundleFile, FileChange
from crosszone.errors import Finding, SpecError

COMPILED = "__pycache__"
"""What Python makes beside sources that it imports: of no use without them."""


def changes(bundle: Bundle, folder: Path) -> tuple[FileChange, ...]:
    """How `bundle` differs from what `folder` holds of it, by path; all is added where there is no folder.

    Files that no bundle brought (logs, checkpoints) do not count. Errors: SpecError where the folder is no bundle's.
    """
    before = {path: _text(folder / path) for path in _listed(folder)}
    return text_changes(before, {file.path: file.text for file in bundle.files})


def text_changes(before: Mapping[str, str | None], after: Mapping[str, str]) -> tuple[FileChange, ...]:
    """How texts differ from those before, both by path."""
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = "added" if old is None else "removed" if new is None else "changed"
        found.append(FileChange(path=path, kind=kind, difference=_difference(path, old, new)))
    return tuple(found)


def write_bundle(bundle: Bundle, folder: Path, *, is_forced: bool = False) -> tuple[FileChange, ...]:
    """Put `bundle` into `folder`, and tell what changed. What else is there stays: logs, checkpoints, the run's record.

    Errors: SpecError where the folder holds something else, or files that somebody wrote or edited where the bundle
    has its own and `is_forced` is not set.
    """
    folder = folder.resolve()  # a link stays a link, and `.` has a name
    if not folder.parent.is_dir():
        message = f'there is no folder "{folder.parent}".'
        raise SpecError.of(message, where=str(folder), hint="Make it first, or name another one.", code="unwritable")
    found = changes(bundle, folder)
    touched = (*(() if is_forced else _edited(folder)), *_in_the_way(bundle, folder, is_forced=is_forced))
    if touched:
        raise SpecError(*touched)
    if found and folder.exists():
        _update(bundle, folder, found)
    elif found:
        _create(bundle, folder)
    return found


def _create(bundle: Bundle, folder: Path) -> None:
    made = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        for file in bundle.files:
            _write(made, file)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _update(bundle: Bundle, folder: Path, found: Sequence[FileChange]) -> None:
    """One file after the other, each at once: who stands in the folder or reads a file of it is not disturbed.

    All new files are written and all old ones copied before the first is touched; a failure takes back what was done.
    """
    beside = folder / f".{os.getpid()}.part"  # in the folder, which may be a file system of its own
    new, old = beside / "new", beside / "old"
    after = {file.path: file for file in bundle.files}
    done: list[str] = []
    try:
        for change in found:
            if change.path in after:
                _write(new, after[change.path])
            if (folder / change.path).is_file():
                (old / change.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / change.path, old / change.path)
        for path in _manifest_last(found):
            done.append(path)
            _put(new, folder, path)
    except BaseException:
        for path in done:
            with contextlib.suppress(OSError):  # the others still
                _put(old, folder, path)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _manifest_last(found: Sequence[FileChange]) -> list[str]:
    return sorted((change.path for change in found), key=lambda path: path == MANIFEST_PATH)


def _put(source: Path, folder: Path, path: str) -> None:
    """The file at `path` as `source` has it, or none."""
    if (source / path).is_file():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).replace(folder / path)
        return
    (folder / path).unlink(missing_ok=True)
    for parent in (folder / path).relative_to(folder).parents[:-1]:
        _remove_if_empty(folder / parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and all(each.name == COMPILED for each in folder.iterdir()):
        shutil.rmtree(folder)


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
    if value.get("kind") != BUNDLE_KIND or any(Path(path).is_absolute() or ".." in path for path in files):
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


def _edited(folder: Path) -> Iterator[Finding]:
    """Files whose content is not what the bundle brought."""
    for path, sha256 in _manifest(folder).items():
        text = _text(folder / path)
        if text is None or BundleFile(path=path, text=text).sha256 != sha256:
            what = "was removed" if text is None else "was edited"
            yield Finding(
                code="edited",
                where=str(folder / path),
                message=f"it {what} after it was rendered.",
                hint="--force renders it again; --diff shows the difference.",
            )


def _in_the_way(bundle: Bundle, folder: Path, *, is_forced: bool) -> Iterator[Finding]:
    """What is somebody's own where the bundle has a file; a folder even where `is_forced`."""
    listed = set(_listed(folder))
    for file in bundle.files:
        path = folder / file.path
        if path.is_dir() or (path.exists() and file.path not in listed and not is_forced):
            yield Finding(
                code="in_the_way",
                where=str(path),
                message="no bundle brought it, but this one has a file there.",
                hint="Move it away." if path.is_dir() else "Move it away; --force overwrites it.",
            )


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
