"""What a look at the nodes finds before a job is launched: nodes, paths between them, what stands in the way."""

from dataclasses import dataclass

from crosszone.core.cluster import ZoneLink

ERROR, WARNING = "error", "warning"
PORT_IN_USE = "port_in_use"
"""Code of the finding that another port mends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedNode:
    """One node of the job, as the job file has it."""

    index: int
    """Among all nodes that are looked at."""
    zone: str
    node_group: int
    node: int
    address: str | None
    """None: this machine."""
    interface: str | None = None
    """Network device that the job file names; None: found by the route."""

    @property
    def label(self) -> str:
        """How people call it."""
        return self.address or "this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """What is to be looked at."""

    nodes: tuple[ProbedNode, ...]
    """In the order of their ranks: the first is where ranks meet."""
    port: int | None
    """At which ranks meet, on the first node; None: torchrun finds a free one."""
    links: tuple[ZoneLink, ...] = ()
    """What the job file says of the paths between zones."""
    window_seconds: float = 1.0
    """How long the bytes of one bandwidth are counted."""
    checkpoint_folder: str | None = None
    """Folder that all nodes see; None: none is looked at."""
    checkpoint_bytes: float | None = None
    """That have to fit into it."""
    needs: tuple[str, ...] = ()
    """Python packages without which ranks do not start."""
    needs_gpus: bool = False

    def label(self, index: int) -> str:
        """How people call a node."""
        return next(node.label for node in self.nodes if node.index == index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network device of a node."""

    name: str
    mtu_bytes: int
    bytes_per_second: float | None
    """As its driver says; None where it does not."""
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedGpu:
    """One GPU, as nvidia-smi lists it."""

    name: str
    memory_bytes: float | None
    free_bytes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What one node says of itself. None: it could not be found out."""

    hostname: str
    python_version: str
    python_path: str
    package_versions: tuple[tuple[str, str | None], ...]
    """(name, version) of what ranks may need; None: not installed."""
    cuda_version: str | None
    """That torch was built with."""
    nccl_version: str | None
    """Of the package that torch loads."""
    driver_version: str | None
    gpus: tuple[ProbedGpu, ...]
    num_cpus: int | None
    memory_bytes: float | None
    free_memory_bytes: float | None
    free_disk_bytes: float | None
    """In the checkpoint folder, or where the node starts programs."""
    interfaces: tuple[Interface, ...]
    congestion_control: str | None
    socket_bytes: float | None
    """Largest buffer that a TCP connection gets: the least of the limits to send and to receive."""
    is_clock_synchronised: bool | None
    missing_programs: tuple[str, ...]

    def package(self, name: str) -> str | None:
        """Version of a package; None where it is not installed."""
        return dict(self.package_versions).get(name)

    def interface(self, name: str | None) -> Interface | None:
        """The device called `name`."""
        return next((each for each in self.interfaces if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Payload that arrived from one node at another, or from several at as many."""

    num_streams: int
    """TCP connections of each pair."""
    num_pairs: int = 1
    """Pairs of nodes that sent at the same time."""
    bytes_per_second: float
    resent_fraction: float | None = None
    """Of the packets of the sender."""
    is_rising: bool = False
    """The second half of the time brought over 15 % more than the first: there may be more."""
    is_at_limit: bool = False
    """As fast as this program itself: the path may be faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTry:
    """One connection that was tried."""

    port: int
    problem: str | None
    """refused | timed_out | no_route | other_node | other_program, or what the system said; None: it came about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePath:
    """What one node sees of another."""

    from_node: int
    to_node: int
    resolved: tuple[str, ...]
    """IP addresses of the other's name, as this node finds them."""
    tries: tuple[PortTry, ...]
    """Where ranks meet, if the other is the first node; and ports that the system chose."""
    interface: str | None = None
    """Device of the route."""
    source_address: str | None = None
    """From which this node connects."""
    seen_address: str | None = None
    """From which the other sees it come: another one behind a translation of addresses."""
    rtt_seconds: float | None = None
    """Median."""
    jitter_seconds: float | None = None
    """Standard deviation of the round trips."""
    clock_offset_seconds: float | None = None
    """By which the other's clock is ahead, give or take half the round trip."""
    path_mtu_bytes: int | None = None
    """Largest IP packet that arrived; None: not tried, or UDP does not pass."""
    rates: tuple[Rate, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether every port answered."""
        return bool(self.tries) and all(each.problem is None for each in self.tries)

    @property
    def rate(self) -> Rate | None:
        """The best of one pair of nodes."""
        single = [rate for rate in self.rates if rate.num_pairs == 1]
        return max(single, key=lambda rate: rate.bytes_per_second, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLink:
    """One direction between two zones, as a job file has it."""

    from_zone: str
    to_zone: str
    bytes_per_second: float | None
    node_bytes_per_second: float | None
    """What one pair of nodes gets, where several get more; None: it does not bind, or is not known."""
    flow_bytes_per_second: float | None
    """What one connection gets, where several get more."""
    num_streams: int | None
    """Least number of connections that brings all of it."""
    rtt_seconds: float | None
    is_lower_bound: bool
    """There may be more: it was still rising, or as fast as this program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """One thing that stands in the way: where, why, and what to do, each in one sentence."""

    code: str
    severity: str
    """error: the job would fail or hang | warning"""
    where: str
    """The node, or "from -> to"."""
    message: str
    cause: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport:
    """All that was seen."""

    schema_version: int = 1
    is_ready: bool
    """No finding is an error."""
    verdict: str
    measured: str
    """Date and time, ISO 8601, UTC."""
    elapsed_seconds: float
    nodes: tuple[ProbedNode, ...]
    facts: tuple[NodeFacts | None, ...]
    """Of each node; None: not reachable from here."""
    paths: tuple[NodePath, ...]
    measured_links: tuple[MeasuredLink, ...]
    findings: tuple[PreflightFinding, ...]
    not_measured: tuple[str, ...]
    """What was left out, and why."""
