"""What a change does to a prediction, where the time goes when things get faster, and what is worth changing."""

from dataclasses import dataclass

from crosszone.core.answer import RankedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One number of a prediction, before and after."""

    name: str
    """Its place in the prediction, as `links[beijing-a,shanghai-a].step_bytes`."""
    base: float | None
    """None: unknown, or not there."""
    changed: float | None
    difference: float | None
    """changed - base; None where one of them is unknown."""
    ratio: float | None
    """changed / base; None as for `difference`, and where the base is 0."""
    is_gain: bool | None
    """Whether the change is for the better; None where the number is the same, or neither way is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """What one part of the hardware is worth: the step that is saved where it is twice as good."""

    what: str
    """zone_link | zone_pair | zone_links | rtt | zone_network | gpu_compute | gpu_memory | communication | gpus"""
    from_zone: str | None = None
    """Of a zone_link: that direction alone; of a zone_pair: one end."""
    to_zone: str | None = None
    seconds_saved: float
    """Of one step, by the full cost model on the changed hardware; the plan stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """What bounds the step."""

    name: str
    """communication_bound | balanced | compute_bound"""
    exposed_communication_fraction: float
    slopes: tuple[Slope, ...]
    """The most seconds first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One change that saves time, evaluated by the cost model."""

    title: str
    settings: tuple[str, ...]
    """What to set, as `whatif --set` takes it."""
    step_seconds: float
    """Of the step with the change."""
    seconds_saved: float
    """Of a step with the tokens of the base's."""
    saved_fraction: float
    """Share of the base's step."""
    dollars_saved: float | None
    """Over the whole training, GPUs and egress; None where a price or the tokens are unknown."""
    peak_bytes: float
    """Memory of the fullest GPU with the change; it fits."""
    mathematics: str
    """What it does to training: `unchanged`, or how the optimiser's path differs."""
    consent: str | None
    """What `constraints.allow` must name before a plan is chosen with it; None: nothing."""
    source: str
    """Of what `mathematics` says, or of the mechanism."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A changed job against its base, the plan held fast."""

    schema_version: int = 1
    settings: tuple[str, ...]
    base: RankedPlan
    changed: RankedPlan
    changes: tuple[Change, ...]
    """Every number of the prediction, in its order."""
    regime: Regime
    """Of the changed job, with the two slopes that name it."""
    base_regime: Regime
    """With all slopes."""
    advice: tuple[Advice, ...] = ()
    """Most seconds first; only where nothing was set."""
    warnings: tuple[str, ...] = ()
    """How what was set changes the mathematics of training."""
