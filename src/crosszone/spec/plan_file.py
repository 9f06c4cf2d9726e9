"""A plan that was saved as JSON: what `crosszone plan -o`, `plan --json` and `predict --json` write, read back."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any

from crosszone.core.codec import PAIRED_FIELDS, to_json
from crosszone.core.model import Model
from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, SYNC_METHODS, Plan
from crosszone.errors import Finding, SpecError, nearest_hint

DERIVED = frozenset({"world_size", "zone_axis"})
"""Written beside a plan's fields, because they follow from them."""
CHOICES = {"schedule": SCHEDULES, "shard": SHARDS, "recompute": RECOMPUTES, "method": SYNC_METHODS}
LEAST = {"first_layer": 0, "node_group": 0, "node_groups": 0, "num_gpus": 0, "num_delay_steps": 0, "prefetch": 0}
"""Least value of whole numbers that may be less than 1."""
PROVENANCE = frozenset({"name", "family", "source", "assumed", "num_published_parameters"})
"""Of a model, what does not make it another one."""
GIVE_ITS_JOB = "Give the job that the plan was made for, or a plan of this job."
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def read_plan(text: str, *, where: str, number: int | None = None, model: Model | None = None) -> Plan:
    """Plan `number` (the first is 1, and stands for None) of `text`: a plan, or an answer or prediction that has one.

    `where` says what to call the file. SpecError, with everything that is wrong in it, and where the file says that
    its plans are not of `model`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        message, hint = f"it is not JSON: {reason}.", "Give what `crosszone plan JOB -o PLANS.json` wrote."
        raise SpecError.of(message, where=where, hint=hint, code="unreadable") from None
    if model is not None:
        _refuse_another(value, model, where)
    path, chosen = _chosen(value, where, number)
    reader = _Reader(where=where)
    plan = reader.noun(Plan, chosen, path)
    if reader.findings:
        raise SpecError(*reader.findings)
    assert isinstance(plan, Plan)
    if (wrong := _misshapen(plan)) is not None:
        raise SpecError.of(wrong, where=f"{where}: {path or 'plan'}", code="wrong_sum")
    return plan


def _chosen(value: Any, where: str, number: int | None) -> tuple[str, Any]:
    """(place, value) of the plan that is meant."""
    plans = value.get("plans") if isinstance(value, dict) else None
    if isinstance(plans, list):
        wanted = number or 1
        if not 1 <= wanted <= len(plans):
            message = f"there is no plan {wanted}: the file has {len(plans)}."
            hint = f"Write #1 to #{len(plans)}." if plans else "Nothing fitted when it was written."
            raise SpecError.of(message, where=where, hint=hint, code="unknown_name")
        listed = plans[wanted - 1]
        is_ranked = isinstance(listed, dict) and "plan" in listed
        return (f"plans[{wanted - 1}].plan", listed["plan"]) if is_ranked else (f"plans[{wanted - 1}]", listed)
    if number not in (None, 1):
        raise SpecError.of(f"there is no plan {number}: the file has 1.", where=where, hint="Write #1.")
    if isinstance(value, dict) and isinstance(value.get("plan"), dict):
        return "plan", value["plan"]
    return "", value


def _refuse_another(value: Any, model: Model, where: str) -> None:
    """SpecError where `value` says of what model its plans are, and that is another one."""
    problem = value.get("problem") if isinstance(value, dict) else None
    told = problem.get("model") if isinstance(problem, dict) else None
    if not isinstance(told, dict) or told.get("num_layers", model.num_layers) != model.num_layers:
        return  # another depth is told with all else that keeps the plan from the job
    for name, ours in to_json(model).items():
        if name in PROVENANCE or told.get(name, ours) == ours:
            continue
        theirs = f"{told.get('name')}, whose {name} is {_shown(told[name])}"
        message = f"the plan was made for {theirs}; that of {model.name}, the job's model, is {_shown(ours)}."
        raise SpecError.of(message, where=where, hint=GIVE_ITS_JOB, code="another_model")


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    """Builds nouns from JSON values and collects what is wrong with them."""

    where: str
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def noun(self, kind: type, value: Any, path: str) -> Any:
        """A dataclass; None, with a finding, where `value` is not one."""
        if not isinstance(value, dict):
            return self._refuse(path, f"{_shown(value)} is not an object with the keys of a {kind.__name__.lower()}.")
        types_by_name = typing.get_type_hints(kind)
        known = {field.name: field for field in dataclasses.fields(kind)}
        for key in sorted(value.keys() - known.keys() - DERIVED):
            self._refuse(f"{path}.{key}", f'unknown key "{key}".', nearest_hint(key, known), code="unknown_key")
        found = {}
        num_findings = len(self.findings)
        for name, field in known.items():
            if name in value:
                found[name] = self._value(types_by_name[name], value[name], f"{path}.{name}", name)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                self._refuse(f"{path}.{name}", f"{name} is missing.", code="missing_key")
        return kind(**found) if len(self.findings) == num_findings else None

    def _value(self, kind: Any, value: Any, path: str, name: str) -> Any:
        if isinstance(kind, types.UnionType):
            if value is None:
                return None
            (kind,) = (each for each in kind.__args__ if each is not types.NoneType)
        if name in PAIRED_FIELDS:
            return self._pairs(value, path)
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            if not isinstance(value, list):
                return self._refuse(path, f"{_shown(value)} is not a list.")
            return tuple(self._value(item, each, f"{path}[{index}]", name) for index, each in enumerate(value))
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            return self.noun(kind, value, path)
        return self._scalar(kind, value, path, name)

    def _scalar(self, kind: type, value: Any, path: str, name: str) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        is_whole = is_number and float(value).is_integer()
        right = {int: is_whole, float: is_number, str: isinstance(value, str), bool: isinstance(value, bool)}
        if not right[kind]:
            return self._refuse(path, f"{_shown(value)} is not {_KINDS[kind]}.", code="wrong_type")
        if name in CHOICES and value not in CHOICES[name]:
            return self._refuse(path, f'there is no {name} "{value}".', nearest_hint(value, CHOICES[name]))
        if kind is int and value < LEAST.get(name, 1):
            return self._refuse(path, f"{name} is {value:g}.", f"It is {LEAST.get(name, 1)} or more.")
        return kind(value)

    def _pairs(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            return self._refuse(path, f"{_shown(value)} is not an object of names.")
        return tuple(value.items())

    def _refuse(self, path: str, message: str, hint: str = "", *, code: str = "invalid") -> None:
        place = f"{self.where}: {path.removeprefix('.')}" if path else self.where
        self.findings.append(Finding(code=code, message=message, where=place, hint=hint))


def _misshapen(plan: Plan) -> str | None:
    """Why the parts of a plan contradict each other; None where they do not."""
    if len(plan.stages) != plan.pp:
        return f"pp is {plan.pp}, but there are {len(plan.stages)} stages."
    num_replicas = sum(replica.num_replicas for replica in plan.replicas)
    if num_replicas != plan.dp:
        return f"dp is {plan.dp}, but there are {num_replicas} replicas."
    for replica in plan.replicas:
        if len(replica.zones) != plan.pp or len(replica.node_groups) != plan.pp:
            return f"pp is {plan.pp}, but a replica names {len(replica.zones)} zones for its stages."
    first = 0
    for index, stage in enumerate(plan.stages):
        if stage.first_layer != first:
            return f"stage {index} starts at layer {stage.first_layer}, but the stages before it hold {first}."
        first += stage.num_layers
    return None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
