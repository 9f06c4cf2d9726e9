"""Single values of a job file set to others: `cluster.links[0].bandwidth=20 Gbit/s`, `links.*.rtt=x0.5`."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from crosszone.errors import Finding, SpecError, nearest_hint
from crosszone.spec.quantities import shown
from crosszone.spec.schema import keys_at
from crosszone.spec.yaml_source import Path, Source, place, read_value

EXAMPLE = 'Write KEY=VALUE, as "links.*.bandwidth=20 Gbit/s".'
EVERY = "*"
SHORT = ("links", "zones", "default_link")
"""Keys of `cluster` that may stand without it."""
LINKS: Path = ("cluster", "links")
DEFAULT_LINK: Path = ("cluster", "default_link")

_PART = re.compile(r"\[([^\[\]]*)\]|([^.\[\]]+)")
_KEY = re.compile(r"[^.\[\]]+(\.[^.\[\]]+|\[[^\[\]]*\])*")
_FACTOR = re.compile(r"[x*]\s*([0-9.]+(?:[eE][-+]?[0-9]+)?)")
_QUANTITY = re.compile(r"(\s*[0-9]+\s*x\s*)?([0-9.]+(?:[eE][-+]?[0-9]+)?)(.*)", re.DOTALL)


def override(source: Source, settings: Sequence[str]) -> tuple[Source, tuple[Path, ...], tuple[Finding, ...]]:
    """`source` with the values that `settings` set, every place that they set, and what is wrong with the others.

    A key is a place of the job file; `[0]` is an item, `[NAME]` a zone, `[NAME,NAME]` the links between two zones, `*`
    every item (for links: `default_link` too). `cluster.` before links, zones and default_link may be left out. A
    value is what stands after the colon in YAML; `x2` multiplies what is written. Later settings come over earlier.

    Whether the values are right is for the reader.
    """
    editor = _Editor(value=copy.deepcopy(source.value))
    for setting in settings:
        editor.apply(setting)
    # Lines are those of the file; what is told of a changed job is not in it.
    changed = Source(value=editor.value, lines={}, duplicates={})
    return changed, tuple(dict.fromkeys(editor.paths)), tuple(editor.findings)


@dataclass(slots=True)
class _Editor:
    """A job's values while they are changed."""

    value: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    where: str = ""
    """The key that is being set, as it was written."""

    def apply(self, setting: str) -> None:
        """Set one value, or note why not."""
        key, separator, text = setting.partition("=")
        self.where = key.strip() or setting
        if not separator or not _KEY.fullmatch(key.strip()):
            self._refuse(f'"{setting}" is not a key and a value.', EXAMPLE)
            return
        parts = [one or other for one, other in _PART.findall(key.strip())]
        if parts[0] in SHORT:
            parts.insert(0, "cluster")
        try:
            value = read_value(text.strip())
        except SpecError as error:
            self._refuse(error.findings[0].message, EXAMPLE)
            return
        num_findings = len(self.findings)
        paths = list(self._places((), parts))
        if len(self.findings) == num_findings:
            for path in paths:
                self._set(path, value)

    def _places(self, path: Path, parts: Sequence[str]) -> Iterator[Path]:
        """Where `parts` lead from `path`; a section that is absent on the way is made."""
        value = self._at(path)
        if not parts:
            yield path
        elif isinstance(value, list):
            for below in self._items(path, value, parts[0]):
                yield from self._places(below, parts[1:])
        elif isinstance(value, dict):
            yield from self._key(path, value, parts)
        else:
            self._refuse(f"{place(path)} is {shown(value)}, which has no {shown(parts[0])} in it.", "")

    def _key(self, path: Path, value: dict[str, Any], parts: Sequence[str]) -> Iterator[Path]:
        name, below = parts[0], (*path, parts[0])
        if path == LINKS[:1] and below == LINKS and not value.get("links") and len(parts) > 1:
            # Every link may be the default one.
            value["links"] = []
        if len(parts) == 1 or value.get(name) is not None:
            yield from self._places(below, parts[1:])
        elif parts[1].isdigit() or parts[1] == EVERY:
            self._refuse(f"the job file has no {place(below)}.", self._key_hint(below), code="missing_key")
        else:
            value[name] = {}  # whether the key exists is for the reader to say
            yield from self._places(below, parts[1:])

    def _items(self, path: Path, items: list[Any], part: str) -> list[Path]:
        """The items of the list at `path` that `part` means."""
        if part == EVERY:
            found = [(*path, index) for index in range(len(items))]
            if path == LINKS and isinstance(self._at(DEFAULT_LINK), dict):
                found.append(DEFAULT_LINK)
            if not found:
                self._refuse(f"{place(path)} is empty.", "", code="missing_key")
            return found
        if part.isdigit():
            if int(part) < len(items):
                return [(*path, int(part))]
            last = f" 0 to {len(items) - 1}" if items else ", none"
            self._refuse(f"there is no {place(path)}[{part}]: its items are{last}.", "", code="unknown_key")
            return []
        return self._pair(part) if path == LINKS else self._named(path, items, part)

    def _named(self, path: Path, items: list[Any], name: str) -> list[Path]:
        names = [item.get("name") if isinstance(item, dict) else None for item in items]
        if name in names:
            return [(*path, names.index(name))]
        known = [str(each) for each in names if each is not None]
        kind = "zone" if path == ("cluster", "zones") else "item"
        self._refuse(f"{place(path)} has no {kind} {shown(name)}.", nearest_hint(name, known) or "Write its index.")
        return []

    def _pair(self, part: str) -> list[Path]:
        """The links between two zones, in either direction; one of their own where the default joins them."""
        ends = [name.strip() for name in part.split(",")]
        zones = self._at(("cluster", "zones"))
        names = [str(zone.get("name")) for zone in zones if isinstance(zone, dict)] if isinstance(zones, list) else []
        unknown = [name for name in ends if name not in names]
        if len(ends) != 2 or ends[0] == ends[1]:
            self._refuse(f"[{part}] is not two zones.", "Write a link as links[0], or as links[ZONE,ZONE].")
        for name in unknown:
            self._refuse(f"there is no zone {shown(name)}.", nearest_hint(name, names), code="unknown_zone")
        if unknown or len(set(ends)) != 2:
            return []
        links = self._at(LINKS)
        found = [(*LINKS, index) for index, link in enumerate(links) if _joins(link, set(ends))]
        default = self._at(DEFAULT_LINK)
        if not found and isinstance(default, dict):
            links.append({**default, "between": ends})
            found = [(*LINKS, len(links) - 1)]
        if not found:
            self._refuse(f"there is no link between {ends[0]} and {ends[1]}.", "Write it in the job file first.")
        return found

    def _set(self, path: Path, value: Any) -> None:
        parent = self._at(path[:-1])
        factor = _FACTOR.fullmatch(value) if isinstance(value, str) else None
        if factor is not None:
            has = isinstance(path[-1], int) or path[-1] in parent
            before = parent[path[-1]] if has else None
            value = _scaled(before, float(factor[1]))
            if value is None:
                said = "is not written" if before is None else f"is {shown(before)}, which is no number"
                message = f"{place(path)} {said}: there is nothing to multiply."
                if all(told.where != self.where for told in self.findings):  # once for all that `*` stands for
                    self._refuse(message, self._key_hint(path) or "Write the value itself.", code="no_number")
                return
        parent[path[-1]] = value
        self.paths.append(path)

    def _at(self, path: Path) -> Any:
        value: Any = self.value
        for part in path:
            value = value.get(part) if isinstance(value, dict) else value[part]
        return value

    def _key_hint(self, path: Path) -> str:
        """What the last key of `path` may have meant; empty where it is one of the job file's."""
        known = keys_at(path[:-1])
        return "" if path[-1] in known else nearest_hint(str(path[-1]), known, max_listed=25)

    def _refuse(self, message: str, hint: str, *, code: str = "invalid") -> None:
        self.findings.append(Finding(code=code, message=message, where=self.where, hint=hint))


def _joins(link: Any, ends: set[str]) -> bool:
    if not isinstance(link, dict):
        return False
    between = link.get("between")
    return set(between) == ends if isinstance(between, list) else {link.get("from"), link.get("to")} == ends


def _scaled(value: Any, factor: float) -> Any:
    """`value` times `factor`, with its unit; None where it is no number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        product = value * factor
        return int(product) if isinstance(value, int) and product.is_integer() else product
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        return f"{found[1] or ''}{float(found[2]) * factor:.15g}{found[3]}"
    except ValueError:
        return None
