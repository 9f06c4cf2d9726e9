"""A machine that a team can train on, and what many of them have together."""

from collections.abc import Sequence
from dataclasses import dataclass

RUNNING, STOPPED, UNREACHABLE, UNKNOWN = "running", "stopped", "unreachable", "unknown"
STATUSES = (RUNNING, STOPPED, UNREACHABLE, UNKNOWN)
"""`unreachable`: it was looked for and did not answer; `unknown`: nobody looked."""
HEALTHY, FAULTY = "healthy", "faulty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One node of the inventory. None is unknown."""

    id: str
    name: str
    kind: str = "custom"
    """What people call its sort: jupyter, custom, slurm, ..."""
    status: str = UNKNOWN
    """One of `STATUSES`."""
    zone: str
    region: str | None = None
    """`provider:region` of the catalog, or a name of the user's own."""
    image: str | None = None
    gpu: str | None = None
    """Catalog name where the catalog has it, else as it was written; None: it has no GPU."""
    num_gpus: int = 0
    num_cpus: int | None = None
    """CPU cores."""
    memory_bytes: float | None = None
    """Of the host."""
    disk_bytes: float | None = None
    network_bytes_per_second: float | None = None
    """One direction, all rails together."""
    num_rails: int | None = None
    addresses: tuple[str, ...] = ()
    """Where it answers, best first."""
    interface: str | None = None
    """Network device of the job's traffic."""
    driver_version: str | None = None
    cuda_version: str | None = None
    nccl_version: str | None = None
    gpu_memory_bytes: float | None = None
    """Of each GPU, as the driver reports it."""
    free_gpu_memory_bytes: float | None = None
    """On the GPU that has least of it."""
    frameworks: tuple[str, ...] = ()
    """That are installed on it."""
    health: str | None = None
    """healthy | faulty"""
    dollars_per_gpu_second: float | None = None
    is_preemptible: bool = False
    is_draining: bool = False
    """It ends what runs on it, and takes nothing new."""
    started_seconds: float | None = None
    """Since 1970, UTC: since when it is up."""
    seen_seconds: float | None = None
    """When it was last heard of."""
    source: str = "hand"
    """Where what is known of it comes from: hand, csv, yaml, hostfile, slurm, ssh."""
    created_seconds: float = 0.0
    updated_seconds: float = 0.0
    version: int = 1
    """Grows with every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFilter:
    """Which environments are meant: each list that is not empty must have the environment's value."""

    zones: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    """One of them is installed on it."""
    text: str = ""
    """All words of it are somewhere in the environment's texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPath:
    """What is known of the path from one environment to another. None is unknown."""

    from_environment: str
    to_environment: str
    is_open: bool | None
    """Whether one connected to the other when that was tried last, of late."""
    rtt_seconds: float | None
    """As it was measured between the two, else as it is known of their zones."""
    bytes_per_second: float | None
    """One direction, likewise."""
    is_measured: bool
    """Whether somebody looked at this very path."""
    seen_seconds: float | None
    """Since 1970, UTC: when that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTotal:
    """GPUs of one kind."""

    gpu: str
    num_gpus: int
    num_environments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTotal:
    """What one zone has."""

    zone: str
    num_gpus: int
    num_environments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentTotals:
    """What environments have together."""

    num_environments: int
    num_gpus: int
    num_cpus: int
    """Of those whose number is known."""
    num_unknown_cpus: int
    """Environments whose number of cores is not known."""
    memory_bytes: float
    """Of those whose memory is known."""
    num_unknown_memory: int
    gpus: tuple[GpuTotal, ...]
    """Most GPUs first."""
    zones: tuple[ZoneTotal, ...]
    """By name."""
    is_distributed: bool
    """Whether they are more than one."""


def totals(environments: Sequence[Environment]) -> EnvironmentTotals:
    """What `environments` have together, and by GPU and zone."""
    cpus = [each.num_cpus for each in environments if each.num_cpus is not None]
    memory = [each.memory_bytes for each in environments if each.memory_bytes is not None]
    gpus = [
        GpuTotal(gpu=gpu, num_gpus=sum(each.num_gpus for each in group), num_environments=len(group))
        for gpu, group in _grouped([(each.gpu, each) for each in environments if each.gpu is not None])
    ]
    zones = [
        ZoneTotal(zone=zone, num_gpus=sum(each.num_gpus for each in group), num_environments=len(group))
        for zone, group in _grouped([(each.zone, each) for each in environments])
    ]
    return EnvironmentTotals(
        num_environments=len(environments),
        num_gpus=sum(each.num_gpus for each in environments),
        num_cpus=sum(cpus),
        num_unknown_cpus=len(environments) - len(cpus),
        memory_bytes=float(sum(memory)),
        num_unknown_memory=len(environments) - len(memory),
        gpus=tuple(sorted(gpus, key=lambda each: (-each.num_gpus, each.gpu))),
        zones=tuple(sorted(zones, key=lambda each: each.zone)),
        is_distributed=len(environments) > 1,
    )


def main_environment(environments: Sequence[Environment], unreachable: Sequence[tuple[str, str]] = ()) -> Environment:
    """The one at which the others meet: reached by most of them, stable, and the first chosen of equals.

    `unreachable`: (from, to) ids of paths that were tried and do not work. Stable is what nobody may take back, runs,
    is healthy and is not about to be drained. `environments` in the order in which they were chosen, at least one.
    """
    assert environments, "nobody can be the main one of none"
    chosen = {each.id for each in environments}
    num_cut_off = dict.fromkeys(chosen, 0)
    for _, to in {pair for pair in unreachable if chosen.issuperset(pair)}:
        num_cut_off[to] += 1

    def badness(each: Environment) -> tuple[int, bool, bool, bool, bool, bool]:
        return (
            num_cut_off[each.id],
            each.status in (STOPPED, UNREACHABLE) or each.health == FAULTY,
            each.is_preemptible,
            each.is_draining,
            not each.addresses,
            each.status != RUNNING,
        )

    return min(environments, key=badness)  # min keeps the first of equals


def _grouped(pairs: list[tuple[str, Environment]]) -> list[tuple[str, list[Environment]]]:
    found: dict[str, list[Environment]] = {}
    for key, environment in pairs:
        found.setdefault(key, []).append(environment)
    return list(found.items())
