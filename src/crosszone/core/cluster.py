"""Where GPUs are and what joins them: zone, node group, GPU, and the links between zones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One accelerator as its sheet and driver describe it. Peaks are dense, fp32 accumulation."""

    name: str
    vendor: str
    generation: str
    form_factor: str
    peak_flop_per_second: tuple[tuple[str, float], ...]
    """(precision, FLOP/s) for each precision that the hardware has: fp32 tf32 fp16 bf16 fp8 fp4."""
    vector_flop_per_second: float
    """fp32 rate outside the matrix units."""
    memory_bytes: float
    """Total that CUDA reports to a process."""
    memory_bytes_per_second: float
    l2_bytes: float | None
    num_sms: int | None
    """Streaming multiprocessors or compute units."""
    boost_hertz: float | None
    tdp_watts: float | None
    fabric_kind: str
    fabric_num_gpus: int
    """GPUs that one fabric of the standard system joins; 1: none."""
    fabric_bytes_per_second: float | None
    """One direction, per GPU."""
    pcie_bytes_per_second: float | None
    system_gpus_per_node: int
    system_network_bytes_per_second: float | None
    """Network of one node of the standard system, one direction."""
    system_num_rails: int | None
    source: str = ""

    def peak(self, precision: str) -> float | None:
        """Dense peak for `precision`; None where the hardware has no such rate."""
        return dict(self.peak_flop_per_second).get(precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """Fastest-link domain of GPUs: NVLink, xGMI or PCIe."""

    kind: str
    num_gpus: int
    bytes_per_second: float
    """One direction, per GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes that are alike."""

    num_nodes: int
    gpu: Gpu
    gpus_per_node: int
    fabric: Fabric
    network_bytes_per_second: float
    """One direction, per node, all rails together."""
    num_rails: int
    host_memory_bytes: float | None = None
    num_cpus: int | None = None
    disk_bytes: float | None = None
    dollars_per_gpu_second: float | None = None
    is_preemptible: bool = False
    mtbf_seconds: float | None = None
    """Mean time between failures of one node."""
    addresses: tuple[str, ...] = ()
    interface: str | None = None
    image: str | None = None

    @property
    def num_gpus(self) -> int:
        """GPUs of the whole group."""
        return self.num_nodes * self.gpus_per_node


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One low-latency failure domain."""

    name: str
    region: str | None = None
    """`provider:region` of the catalog, or a name of the user's own."""
    node_groups: tuple[NodeGroup, ...]
    latitude_degrees: float | None = None
    longitude_degrees: float | None = None
    scheduler: str | None = None
    uplink_bytes_per_second: float | None = None
    """Shared by all links of the zone, each direction."""
    oversubscription: float = 1.0
    """Sum of the nodes' network over what the zone's core carries."""

    @property
    def num_gpus(self) -> int:
        """GPUs of the zone."""
        return sum(group.num_gpus for group in self.node_groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLink:
    """One direction of the path between two zones. A cap that is None does not bind."""

    from_zone: str
    to_zone: str
    latency_seconds: float
    """One way: half of the round trip."""
    bytes_per_second: float | None = None
    """Payload that all flows of the job get together."""
    node_bytes_per_second: float | None = None
    flow_bytes_per_second: float | None = None
    window_bytes: float | None = None
    num_streams: int | None = None
    jitter_seconds: float | None = None
    loss_fraction: float | None = None
    congestion_control: str | None = None
    shared: str | None = None
    """Name of a path that several links share."""
    egress_dollars_per_byte: float | None = None
    distance_meters: float | None = None
    mtbf_seconds: float | None = None
    """Mean time between outages of the path; None: no outages are known of."""
    repair_seconds: float | None = None
    """How long an outage lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All GPUs of a job. `links` holds each ordered pair of zones once."""

    zones: tuple[Zone, ...]
    links: tuple[ZoneLink, ...] = ()

    @property
    def num_gpus(self) -> int:
        """GPUs of all zones."""
        return sum(zone.num_gpus for zone in self.zones)

    def zone(self, name: str) -> Zone:
        """The zone called `name`; KeyError where there is none."""
        for zone in self.zones:
            if zone.name == name:
                return zone
        raise KeyError(name)

    def link(self, from_zone: str, to_zone: str) -> ZoneLink:
        """The directed link between two zones; KeyError where there is none."""
        for link in self.links:
            if link.from_zone == from_zone and link.to_zone == to_zone:
                return link
        raise KeyError((from_zone, to_zone))
