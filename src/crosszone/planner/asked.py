"""A plan as a person asks for it in one line: "tp=8, pp=4, zones=a+b"."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

from crosszone.core.plan import RECOMPUTES, SCHEDULES, SHARDS, SYNC_METHODS, Plan, Sync
from crosszone.core.problem import PlanRequest, Problem
from crosszone.core.schedules import refusal
from crosszone.errors import Finding, SpecError, nearest_hint
from crosszone.frameworks import framework_names
from crosszone.planner.options import divisors

COUNTS = ("tp", "pp", "cp", "ep", "dp", "dp_shard", "num_virtual_stages", "microbatch_size", "recompute_layers")
WORDS = {
    "schedule": SCHEDULES,
    "shard": SHARDS,
    "recompute": RECOMPUTES,
    "offload": ("none", "optimizer", "parameters"),
    "sequence_parallel": ("true", "false"),
}
KEYS = (*COUNTS, *WORDS, "framework", "zones", "sync", "every")
WHERE = "--why"
MOST_COUNT = 10**6
MOST_LISTED = 4
"""Zones that a sentence names."""
MANY_MICROBATCHES = 1 << 20
"""For what a schedule says of stages alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person fixes; what is None is searched."""

    text: str
    values: tuple[tuple[str, Any], ...]
    """Fields of a `PlanRequest`, in the order they were written."""
    framework: str | None = None
    zones: tuple[str, ...] | None = None
    """All of them work, and no other."""

    @property
    def keys(self) -> tuple[str, ...]:
        """What was written, by which a neighbour may differ."""
        more = [name for name in ("framework", "zones") if getattr(self, name) is not None]
        return (*(name for name, _ in self.values), *more)

    def without(self, key: str) -> "Asked":
        """The same with one thing left open."""
        if key in ("framework", "zones"):
            return replace(self, **{key: None})  # type: ignore[arg-type]
        return replace(self, values=tuple((name, value) for name, value in self.values if name != key))

    def is_kept_by(self, plan: Plan) -> bool:
        """The plan is as it asks."""
        if self.framework not in (None, plan.framework):
            return False
        if self.zones is not None and set(self.zones) != set(plan.zones):
            return False
        return all(_has(plan, name, value) for name, value in self.values)

    def on(self, problem: Problem) -> Problem:
        """`problem` with it fixed. Stages and replicas that the job file writes make room."""
        request = replace(problem.plan, stages=None, replicas=None, idle_gpus=None, **dict(self.values))
        limits = problem.constraints
        if self.zones is not None:
            others = (zone.name for zone in problem.cluster.zones if zone.name not in self.zones)
            limits = replace(limits, exclude_zones=tuple(others))
        return replace(problem, plan=request, framework=self.framework or problem.framework, constraints=limits)


def _has(plan: Plan, name: str, value: Any) -> bool:
    if name == "recompute_layers":
        return all(stage.recompute_layers == value for stage in plan.stages)
    if name == "sync":
        return (plan.sync.method, plan.sync.every) == (value.method, value.every)
    return bool(getattr(plan, name) == value)


@dataclass(slots=True)
class _Reader:
    """What was read of one line, and what is wrong with it."""

    problem: Problem
    values: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def read(self, key: str, text: str) -> None:
        if key in self.values:
            self.refuse(f"{key} is written twice.", "Write it once.")
        elif key in COUNTS or key == "every":
            self._count(key, text)
        elif key in WORDS:
            self._word(key, text, WORDS[key])
        elif key == "framework":
            self._word(key, text, framework_names())
        elif key == "sync":
            self._word(key, text, SYNC_METHODS)
        elif key == "zones":
            self._zones(text)
        else:
            self.refuse(f'unknown key "{key}".', nearest_hint(key, KEYS, max_listed=len(KEYS)), code="unknown_key")

    def _count(self, key: str, text: str) -> None:
        if text.isdecimal() and 1 <= int(text) <= MOST_COUNT:
            self.values[key] = int(text)
        else:
            self.refuse(f'{key} is "{text}", which is not a whole number from 1 on.', f"Write {key}=8.")

    def _word(self, key: str, text: str, known: tuple[str, ...]) -> None:
        if text in known:
            self.values[key] = text
        else:
            hint = nearest_hint(text, known, max_listed=len(known))
            self.refuse(f'{key} is "{text}", which is not known.', hint, code="unknown_name")

    def _zones(self, text: str) -> None:
        names = [zone.name for zone in self.problem.cluster.zones]
        written = [name.strip() for name in text.split("+")]
        for name in sorted({name for name in written if written.count(name) > 1}):
            self.refuse(f'zone "{name}" is written twice.', "Write it once: all of its GPUs may work.")
        for name in dict.fromkeys(written):
            if name not in names:
                self.refuse(f'there is no zone "{name}".', nearest_hint(name, names), code="unknown_zone")
        self.values["zones"] = tuple(written)

    def refuse(self, message: str, hint: str, *, code: str = "invalid") -> None:
        self.findings.append(Finding(code=code, message=message, where=WHERE, hint=hint))


def asked(problem: Problem, text: str) -> Asked:
    """What `text` asks of `problem`: KEY=VALUE, with commas or spaces between. SpecError with all that is wrong."""
    reader = _Reader(problem=problem)
    parts = [part for part in re.split(r"[,\s]+", re.sub(r"\s*([=+])\s*", r"\1", text.strip())) if part]
    for part in parts:
        key, separator, value = part.partition("=")
        if separator and key and value:
            reader.read(key, value)
        else:
            reader.refuse(f'"{part}" is not a key and a value.', 'Write KEY=VALUE, as "tp=8,pp=4,zones=a+b".')
    if not parts:
        reader.refuse("nothing is asked.", 'Write KEY=VALUE, as "tp=8,pp=4", or PLANS.json#2.')
    if "every" in reader.values and "sync" not in reader.values:
        reader.refuse("every belongs to a way to agree.", "Write sync too, as sync=diloco,every=30.")
    if reader.findings:
        raise SpecError(*reader.findings)
    return _resolved(text, reader.values)


def _resolved(text: str, values: dict[str, Any]) -> Asked:
    fixed = dict(values)
    framework, zones = fixed.pop("framework", None), fixed.pop("zones", None)
    every = fixed.pop("every", 1)
    if "sync" in fixed:
        fixed["sync"] = Sync(method=fixed["sync"], every=every)
    if "sequence_parallel" in fixed:
        fixed["sequence_parallel"] = fixed["sequence_parallel"] == "true"
    return Asked(text=text, values=tuple(fixed.items()), framework=framework, zones=zones)


def illegal(problem: Problem) -> list[str]:
    """Products and divisions that what `problem` fixes of the plan does not bring out, with the nearest that do."""
    request = problem.plan
    return [*_of_model(problem, request), *_of_batch(problem, request), *_of_gpus(problem, request)]


def _of_model(problem: Problem, request: PlanRequest) -> list[str]:
    model, length, found = problem.model, problem.workload.sequence_length, []
    tp, pp, cp, ep = request.tp or 1, request.pp or 1, request.cp or 1, request.ep or 1
    if model.num_heads % tp:
        found.append(f"tp={tp} does not divide {model.num_heads} heads{_near(tp, divisors(model.num_heads))}.")
    elif model.num_kv_heads % tp and tp % model.num_kv_heads:
        found.append(f"tp={tp} neither divides {model.num_kv_heads} key-value heads nor is a multiple of them.")
    chunks = pp * (request.num_virtual_stages or 1)
    if chunks > model.num_layers:
        words = f"pp={pp}" if chunks == pp else f"pp*num_virtual_stages = {pp}*{request.num_virtual_stages} = {chunks}"
        found.append(f"{words} is more than {model.num_layers} layers.")
    elif chunks > pp > 1 and model.num_layers % pp == 0 and model.num_layers % chunks:
        near = _near(chunks // pp, divisors(model.num_layers // pp))
        words = f"pp*num_virtual_stages = {pp}*{chunks // pp} = {chunks} does not divide {model.num_layers} layers"
        found.append(f"{words}, as the search wants it of even stages{near}. Write plan.stages for uneven ones.")
    if cp > 1 and length % (2 * cp):
        found.append(f"2*cp = {2 * cp} does not divide the sequence length {length}.")
    if ep > 1 and (model.num_experts or 1) % ep:
        experts = model.num_experts or 1
        found.append(f"ep={ep} does not divide {experts} experts{_near(ep, divisors(experts))}.")
    if request.schedule is not None and request.pp is not None:
        why = refusal(request.schedule, pp, MANY_MICROBATCHES) if pp > 1 else "it needs pp above 1"
        found += [f"The schedule {request.schedule} cannot run pp={pp}: {why}."] if why else []
    return found


def _of_batch(problem: Problem, request: PlanRequest) -> list[str]:
    total, found = problem.workload.global_batch_size, []
    size, dp = request.microbatch_size or 1, request.dp or 1
    if total % size:
        found.append(f"microbatch_size={size} does not divide {total} sequences a step{_near(size, divisors(total))}.")
    if dp * size > total:
        words = f"dp={dp}" if size == 1 else f"dp*microbatch_size = {dp}*{size} = {dp * size}"
        found.append(f"{words} is more than {total} sequences a step: some replicas would have none.")
    if request.dp is not None and request.dp_shard is not None and dp % request.dp_shard:
        found.append(f"dp_shard={request.dp_shard} does not divide dp={dp}{_near(request.dp_shard, divisors(dp))}.")
    return found


def _of_gpus(problem: Problem, request: PlanRequest) -> list[str]:
    zones = [zone for zone in problem.cluster.zones if zone.name not in problem.constraints.exclude_zones]
    have = sum(zone.num_gpus for zone in zones)
    degrees = {name: getattr(request, name) or 1 for name in ("tp", "cp", "pp", "dp")}
    need = degrees["tp"] * degrees["cp"] * degrees["pp"] * degrees["dp"]
    if need <= have:
        return []
    written = [name for name in degrees if degrees[name] > 1]
    product = f"{'*'.join(written)} = {'*'.join(str(degrees[name]) for name in written)} = {need}"
    return [f"{product if len(written) > 1 else f'{written[0]}={need}'} ranks, {_places(zones)} {have} GPUs."]


def _places(zones: list[Any]) -> str:
    names = [zone.name for zone in zones]
    if len(names) > MOST_LISTED:
        return f"{len(names)} zones have"
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'}"


def _near(value: int, legal: list[int]) -> str:
    """Words for the legal values on both sides."""
    below, above = [one for one in legal if one < value][-1:], [one for one in legal if one > value][:1]
    return f"; {' and '.join(str(one) for one in [*below, *above])} would"
