"""Environments as people write them: keys and values of one, and files with many of them.

Keys are those of a node group in a job file where they mean the same; quantities are text with their unit.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from crosszone import units
from crosszone.catalog.gpus import gpu as catalog_gpu
from crosszone.core.environment import FAULTY, HEALTHY, STATUSES, Environment
from crosszone.errors import Finding, SpecError, UnknownName, nearest_hint
from crosszone.spec import quantities as q
from crosszone.spec.kubernetes_nodes import kubernetes_entries
from crosszone.spec.yaml_source import read_yaml

MOST_ENTRIES = 10_000
"""Of one file."""
MOST_ADDRESSES = 64
_NAME, _TEXT = q.Words(63), q.Words(1000)
_COUNT, _NUM_GPUS = q.Count(0, 10**6, "8"), q.Count(0, 1024, "8")
KEYS: dict[str, tuple[str, q.Reader]] = {
    "name": ("name", _NAME),
    "kind": ("kind", _NAME),
    "status": ("status", q.OneOf(STATUSES, "status")),
    "zone": ("zone", _NAME),
    "region": ("region", _NAME),
    "image": ("image", _TEXT),
    "gpu": ("gpu", _NAME),
    "gpus": ("num_gpus", _NUM_GPUS),
    "cpus": ("num_cpus", _COUNT),
    "memory": ("memory_bytes", q.Quantity("bytes", 0, 1e21, "64 GB")),
    "disk": ("disk_bytes", q.Quantity("bytes", 0, 1e21, "1 TB")),
    "network": ("network_bytes_per_second", q.Rails()),
    "interface": ("interface", _NAME),
    "driver": ("driver_version", _NAME),
    "cuda": ("cuda_version", _NAME),
    "nccl": ("nccl_version", _NAME),
    "health": ("health", q.OneOf((HEALTHY, FAULTY), "state of health")),
    "price": ("dollars_per_gpu_second", q.Quantity("dollars_per_second", 0, 10, "2.1 USD/h", low_is_legal=True)),
    "uptime": ("started_seconds", q.Quantity("seconds", 0, 1e10, "5 d", low_is_legal=True)),
    "preemptible": ("is_preemptible", q.Switch()),
    "draining": ("is_draining", q.Switch()),
}
"""Key, the field of `Environment` that it says, and what reads it."""
LISTS = {"addresses": MOST_ADDRESSES, "frameworks": MOST_ADDRESSES}
"""Keys whose value is a list of names, and how many it may have."""
ID = "id"
REQUIRED = ("name", "zone")
STATUS_WORDS = {"运行中": "running", "已停止": "stopped", "不可达": "unreachable", "未知": "unknown"}
_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")
"""A host name or an IP address (RFC 1123, RFC 4291): what goes into ssh commands is never an option or a program."""
_IDS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEVERAL_GPUS = re.compile(r"([+-]?\d{1,9})\s*[x×*]\s*(\S.*)")
_SLOTS = re.compile(r"(?:slots|max_slots)\s*=\s*(\d+)", re.ASCII)

Entry = dict[str, Any]


def environment(entry: Mapping[str, Any], *, now_seconds: float, source: str, where: str = "") -> Environment:
    """The environment that an entry writes down; its id is empty where none is written.

    `where`: the entry's place, for messages. SpecError with everything that is wrong in it.
    """
    fields, findings = _fields(entry, now_seconds, where)
    findings += [
        Finding(code="missing_key", message=f"{key} is missing.", where=f"{where}.{key}".lstrip("."))
        for key in REQUIRED
        if key not in entry
    ]
    _check_gpu(fields, findings, where)
    if findings:
        raise SpecError(*findings)
    stamps = {"created_seconds": now_seconds, "updated_seconds": now_seconds, "seen_seconds": now_seconds}
    return Environment(**{"id": "", "source": source, **stamps, **fields})


def changed(known: Environment, entry: Mapping[str, Any], *, now_seconds: float, source: str = "") -> Environment:
    """`known` with the keys of an entry changed; None takes a value away. SpecError with everything that is wrong."""
    gone = {key for key, value in entry.items() if value is None and key in {*KEYS, *LISTS} and key not in REQUIRED}
    fields, findings = _fields({key: entry[key] for key in entry.keys() - gone}, now_seconds, "")
    defaults = {field.name: field.default for field in dataclasses.fields(Environment)}
    for key in gone:
        name = KEYS[key][0] if key in KEYS else key
        fields[name] = defaults[name]
    if "id" in fields and fields["id"] != known.id:
        findings.append(Finding(code="invalid", message=f"the id of {known.id} cannot be changed.", where=ID))
    found = {"num_gpus": known.num_gpus, "gpu": known.gpu, **fields}
    _check_gpu(found, findings, "")
    if findings:
        raise SpecError(*findings)
    stamps = {"updated_seconds": now_seconds, "source": source or known.source}
    return dataclasses.replace(known, **{**fields, **stamps, "id": known.id})


def read_inventory(text: str, kind: str, defaults: Mapping[str, Any] | None = None) -> tuple[tuple[str, Entry], ...]:
    """(place, entry) of every environment in the text of a file: yaml | csv | hostfile | slurm | kubernetes.

    `defaults` are keys that entries take where they do not have them. SpecError where it cannot be read as that.
    """
    readers = {"yaml": _from_yaml, "csv": _from_csv, "hostfile": _from_hostfile, "slurm": _from_slurm}
    readers["kubernetes"] = kubernetes_entries
    if kind not in readers:
        raise UnknownName.among(kind, readers, kind="format of an inventory", where="format")
    found = readers[kind](text)
    if not found:
        raise SpecError.of("there is no environment in it.", where=kind)
    if len(found) > MOST_ENTRIES:
        raise SpecError.of(f"it has {len(found)} environments; at most {MOST_ENTRIES} are taken.", where=kind)
    return tuple((place, {**(defaults or {}), **entry}) for place, entry in found)


def gpu_name(written: str) -> str:
    """The catalog's name of a GPU, else the name as it is written: an inventory may have what cannot be planned for."""
    try:
        return catalog_gpu(written).name
    except UnknownName:
        return written


def _fields(entry: Mapping[str, Any], now_seconds: float, where: str) -> tuple[dict[str, Any], list[Finding]]:
    """What the keys of an entry say, and what is wrong with them."""
    fields: dict[str, Any] = {}
    findings: list[Finding] = []
    for key, written in entry.items():
        place = f"{where}.{key}".lstrip(".")
        try:
            fields |= _read(key, written, now_seconds)
        except SpecError as error:
            findings += [dataclasses.replace(each, where=place) for each in error.findings]
        except ValueError as error:
            findings += [dataclasses.replace(each, where=place) for each in getattr(error, "findings", ())]
    return fields, findings


def _read(key: str, written: Any, now_seconds: float) -> dict[str, Any]:
    """The fields that one key says. SpecError, or a ValueError with findings."""
    if key == ID:
        if not isinstance(written, str) or not _IDS.fullmatch(written):
            hint = "Write lower-case letters, digits and dashes, 63 at most, or leave it out."
            raise SpecError.of(f'the id "{written}" cannot be one.', hint=hint)
        return {"id": written}
    if key in LISTS:
        return {key: _names(key, written)}
    if key not in KEYS:
        hint = nearest_hint(key, [ID, *KEYS, *LISTS], max_listed=0)
        raise SpecError.of(f'unknown key "{key}".', hint=hint, code="unknown_key")
    field, reader = KEYS[key]
    if key == "status" and isinstance(written, str):
        written = STATUS_WORDS.get(written, written)
    if key == "gpu" and isinstance(written, str):
        return _gpu(written)
    value = reader.read(written, key)
    if key == "network":
        assert isinstance(value, tuple)
        return {"num_rails": value[0], field: value[1]}
    if key == "uptime":
        assert isinstance(value, float)
        return {field: now_seconds - value}
    return {field: value}


def _gpu(written: str) -> dict[str, Any]:
    """ "8x A100" and "A100": the catalog's name where it has one, else the name as it is written."""
    several = _SEVERAL_GPUS.fullmatch(written.strip())
    name = _NAME.read(several[2].strip() if several else written, "gpu")
    return {"gpu": gpu_name(name), **({"num_gpus": _NUM_GPUS.read(several[1], "gpus")} if several else {})}


def _names(key: str, written: Any) -> tuple[str, ...]:
    if isinstance(written, str):
        written = re.split(r"[;\s]+", written.strip())
    if not isinstance(written, list | tuple):
        raise SpecError.of(f"{key} is not a list of names.", code="wrong_type")
    if len(written) > LISTS[key]:
        raise SpecError.of(f"{key} has {len(written)} items; at most {LISTS[key]} are taken.", code="too_large")
    names = tuple(_NAME.read(each, key) for each in written)
    wrong = [name for name in names if key == "addresses" and not _ADDRESS.fullmatch(name)]
    if wrong:
        raise SpecError.of(f'"{wrong[0]}" is no host name or IP address.', hint='Write "10.0.0.1" or "node1".')
    return names


def _check_gpu(fields: Mapping[str, Any], findings: list[Finding], where: str) -> None:
    num_gpus, gpu = fields.get("num_gpus", 0), fields.get("gpu")
    place, number = (f"{where}.{key}".lstrip(".") for key in ("gpu", "gpus"))
    if any(each.where in (place, number) for each in findings):
        return  # what is written wrongly is not missing
    if num_gpus and gpu is None:
        message = f"it has {num_gpus} GPUs, and which is not said."
        findings.append(Finding(code="missing_key", message=message, where=place, hint='Write "gpu: a100-sxm4-80gb".'))
    elif gpu is not None and not num_gpus:
        hint = f'Write "gpus: 8", or "gpu: 8x {gpu}".'
        findings.append(Finding(code="missing_key", message=f"how many {gpu} is not said.", where=place, hint=hint))


def _from_yaml(text: str) -> list[tuple[str, Entry]]:
    value = read_yaml(text).value
    entries = value.get("environments")
    if value.keys() != {"environments"} or not isinstance(entries, list):
        hint = 'Write "environments:" and below it a list.'
        raise SpecError.of("an inventory has one key, environments, with a list.", where="yaml", hint=hint)
    wrong = [
        Finding(code="wrong_type", message="it is not a mapping of keys to values.", where=f"environments[{index}]")
        for index, entry in enumerate(entries)
        if not isinstance(entry, dict)
    ]
    if wrong:
        raise SpecError(*wrong)
    return [(f"environments[{index}]", entry) for index, entry in enumerate(entries)]


def _from_csv(text: str) -> list[tuple[str, Entry]]:
    """A head with keys, then a row each; an empty cell says nothing, lists are written with spaces or semicolons."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        head = [cell.strip().lower() for cell in next(rows, [])]
        found = [(f"line {rows.line_num}", row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SpecError.of(f"line {rows.line_num}: {error}.", where="csv") from None
    long = [
        Finding(code="invalid", message=f"it has {len(row)} cells, and the head has {len(head)}.", where=place)
        for place, row in found
        if len(row) > len(head)
    ]
    if long:
        raise SpecError(*long)
    return [(place, _cells(zip(head, row, strict=False))) for place, row in found]


def _cells(pairs: Any) -> Entry:
    switches = {"true": True, "false": False}
    entry: Entry = {}
    for key, cell in pairs:
        text = cell.strip()
        if text:
            is_switch = key in KEYS and isinstance(KEYS[key][1], q.Switch)
            entry[key] = switches.get(text.lower(), text) if is_switch else text
    return entry


def _from_hostfile(text: str) -> list[tuple[str, Entry]]:
    """`NAME slots=8` a line, as mpirun and DeepSpeed take it; `#` begins a comment."""
    found, wrong = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        rest = " ".join(words[1:])
        slots = _SLOTS.search(rest)
        if _SLOTS.sub("", rest).strip():
            message = f'"{rest}" is not understood.'
            hint = 'Write "NAME slots=8".'
            wrong.append(Finding(code="invalid", message=message, where=f"line {number}", hint=hint))
        entry: Entry = {"name": words[0], "addresses": [words[0]]}
        found.append((f"line {number}", {**entry, "gpus": int(slots[1])} if slots else entry))
    if wrong:
        raise SpecError(*wrong)
    return found


SINFO = ("sinfo", "--Node", "--noheader", "--format=%N|%T|%c|%m|%G|%O|%f")
"""What is asked of Slurm: node, state, CPUs, memory in MiB, GRES, load, features (sinfo(1) of Slurm 22.05)."""
_SLURM_STATES = {"idle": "running", "mixed": "running", "allocated": "running", "completing": "running"}
_SLURM_UP = re.compile(r"[a-z]+")
_GRES = re.compile(r"gpu:(?:([A-Za-z][\w.-]*):)?(\d+)")
MEBIBYTE = 2**20


def _from_slurm(text: str) -> list[tuple[str, Entry]]:
    """What `SINFO` prints; a node that is in several partitions is told several times."""
    found: dict[str, tuple[str, Entry]] = {}
    wrong = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split("|")]
        if not line.strip():
            continue
        if len(cells) < 5:
            message = f"it has {len(cells)} cells, not 5 or more."
            hint = f"Send what this prints: {' '.join(SINFO)}."
            wrong.append(Finding(code="invalid", message=message, where=f"line {number}", hint=hint))
        elif cells[0] not in found:
            found[cells[0]] = (f"line {number}", _slurm_entry(cells))
    if wrong:
        raise SpecError(*wrong)
    return list(found.values())


def _slurm_entry(cells: Sequence[str]) -> Entry:
    name, state, cpus, memory, gres = cells[:5]
    word = _SLURM_UP.match(state.lower())
    entry: Entry = {"name": name, "addresses": [name], "kind": "slurm"}
    entry["status"] = _SLURM_STATES.get(word[0] if word else "", "unreachable" if state.endswith("*") else "stopped")
    entry["draining"] = "drain" in state.lower()
    if cpus.isdecimal():
        entry["cpus"] = int(cpus)
    if memory.isdecimal():
        entry["memory"] = units.format_bytes(int(memory) * MEBIBYTE, digits=15)
    gpus = _GRES.search(gres)
    if gpus is not None:
        entry |= {"gpus": int(gpus[2]), **({"gpu": gpus[1]} if gpus[1] else {})}
    return entry
