"""What a deployment consists of: who starts what where, and the files that say so."""

import hashlib
from dataclasses import dataclass

from crosszone.core.cluster import NodeGroup, Zone
from crosszone.core.timeouts import Timeouts

DEVICES = ("cuda", "cpu")
DEFAULT_PORT = 29500
"""torchrun's own."""
NO_CHECKPOINTS = "none"
TORCHRUN, HOROVODRUN = "torchrun", "horovodrun"
MANIFEST_PATH, BUNDLE_KIND = "metadata.json", "crosszone-bundle"
"""The file that lists all others, and what it says that they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPlace:
    """One rank: where it is in the grid of axes, and on which GPU."""

    rank: int
    tp: int
    cp: int
    dp: int
    pp: int
    zone: str
    node_group: int
    """Index in the zone's node groups."""
    node: int
    """Index in the node group."""
    gpu: int
    """Index in the node."""

    @property
    def node_key(self) -> tuple[str, int, int]:
        """What tells the node from all others."""
        return self.zone, self.node_group, self.node


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One launcher on one node: it starts consecutive ranks, one per GPU."""

    index: int
    """Among all agents, in the order of their ranks: what torchrun calls the node rank."""
    zone: str
    zone_index: int
    node_group: int
    node: int
    address: str | None
    """Where the node answers; None where the job file does not say."""
    interface: str | None
    """Network device of the node; None: found on the node, by the route to its peer."""
    image: str | None
    gpus: tuple[int, ...]
    """GPUs of the node, in the order of their ranks."""
    has_whole_node: bool
    """Whether those are all GPUs of the node."""
    first_rank: int

    @property
    def num_ranks(self) -> int:
        """Ranks that it starts."""
        return len(self.gpus)

    @property
    def ranks_text(self) -> str:
        """Its first and last rank, as people read them: 0–7, or 3 where it is one."""
        last = self.first_rank + self.num_ranks - 1
        return str(last) if self.num_ranks == 1 else f"{self.first_rank}–{last}"

    @property
    def node_key(self) -> tuple[str, int, int]:
        """What tells its node from all others."""
        return self.zone, self.node_group, self.node

    @property
    def name(self) -> str:
        """Safe in paths and scripts, whatever the zone is called."""
        return f"agent-{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a framework has each rank run."""

    argv: tuple[str, ...]
    """After `python`: ("-m", module, argument ...) or (script, argument ...)."""
    environment: tuple[tuple[str, str], ...] = ()
    """Beyond what every framework needs."""
    launcher: str = TORCHRUN
    """torchrun | horovodrun: what gives processes their ranks"""
    check: tuple[str, ...] = ()
    """After `python`, and before the number of ranks: says what no restart would mend, and ends with 2 then."""
    has_our_trainer: bool = True
    """Whether it runs `crosszone.runtime`, whose source the bundle then carries."""
    saves_when_stopped: bool = False
    """Whether each rank that gets SIGTERM ends its step and saves, where checkpoints are saved at all."""
    requirements: tuple[str, ...] = ()
    """Of pip, beyond what the framework always needs."""
    packages: tuple[str, ...] = ()
    """Of Debian, as a compiler, beyond what every framework needs."""
    image: str | None = None
    """Public image to start from where the job file names none; None: the usual one."""
    setup: tuple[str, ...] = ()
    """Programs of the bundle that a node runs once, before the first start; each takes the folder for Python sources
    that it brings, and without one puts them into `src`."""
    assumed: tuple[str, ...] = ()
    """What its arguments rest on that nobody wrote."""
    warnings: tuple[str, ...] = ()
    """What a person should know of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One job as a backend starts it."""

    agents: tuple[Agent, ...]
    """All of the job, in the order of their ranks."""
    identity: str = "0" * 16
    """Hex digits of all that runs and of where: another bundle has others, the same bundle the same. Zeros while its
    files are not known."""
    only_zone: str | None = None
    """The zone whose agents this bundle starts; others start theirs. None: all."""
    argv: tuple[str, ...]
    """What each rank runs, after `python`: ("-m", module, argument ...) or (script, argument ...)."""
    check: tuple[str, ...] = ()
    """As in `Program`."""
    environment: tuple[tuple[str, str], ...]
    """Of every rank."""
    launcher: str = TORCHRUN
    """torchrun | horovodrun"""
    saves_when_stopped: bool = False
    """Whether ranks that get SIGTERM end their step and save a checkpoint."""
    device: str
    """cuda | cpu"""
    port: int
    """At which ranks meet, on the node of rank 0."""
    is_standalone: bool = False
    """Whether one torchrun starts all ranks; they meet at a port that it finds free, and not at `port`."""
    timeouts: Timeouts
    zones: tuple[Zone, ...]
    """Of the job file, in its order: what is known of their regions and nodes."""
    data_path: str | None = None
    checkpoint_folder: str | None = None
    """As in `DeployRequest`."""
    packages: tuple[str, ...] = ()
    """As in `Program`."""
    image: str | None = None
    setup: tuple[str, ...] = ()
    """As in `Program`, both."""

    def group_of(self, agent: Agent) -> NodeGroup:
        """The node group that the agent's node belongs to."""
        return self.zones[agent.zone_index].node_groups[agent.node_group]

    @property
    def started(self) -> tuple[Agent, ...]:
        """The agents that this bundle starts."""
        return tuple(agent for agent in self.agents if self.only_zone in (None, agent.zone))

    @property
    def world_size(self) -> int:
        """Ranks of all agents."""
        return sum(agent.num_ranks for agent in self.agents)

    @property
    def num_nodes(self) -> int:
        """Nodes that work."""
        return len({agent.node_key for agent in self.agents})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """What a person says of a deployment beyond the job file."""

    backend: str
    device: str = "cuda"
    """cuda | cpu: on what ranks compute; cpu is to try a bundle out."""
    num_steps: int | None = None
    """None: as many as the workload's `train_tokens` take."""
    data_path: str | None = None
    """File of tokens, at the same absolute path on every node; None: synthetic tokens."""
    checkpoint_folder: str | None = None
    """Seen by all nodes at this path; None: in the bundle, which one node can do; `NO_CHECKPOINTS`: none are saved."""
    entry_text: str | None = None
    """The person's own program, in place of our trainer."""
    entry_arguments: tuple[str, ...] = ()
    """Passed on to `entry_text` as they are."""
    port: int = DEFAULT_PORT
    zone: str | None = None
    """Only the piece of this zone, where each has its own scheduler; None: all zones in one bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One text file of a bundle."""

    path: str
    """Relative to the bundle, with slashes."""
    text: str

    @property
    def is_executable(self) -> bool:
        """Programs say so in their first line."""
        return self.text.startswith("#!")

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All files of a deployment, sorted by path, the manifest among them."""

    files: tuple[BundleFile, ...]
    launch: Launch
    assumed: tuple[str, ...]
    """What the files rest on that nobody wrote."""
    warnings: tuple[str, ...]
    piece: str | None = None
    """Where it starts the ranks of one zone of several: which, and where the others start."""

    def text(self, path: str) -> str:
        """The text at `path`; KeyError where there is none."""
        for file in self.files:
            if file.path == path:
                return file.text
        raise KeyError(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file of a bundle that differs from the one in its folder."""

    path: str
    kind: str
    """added | removed | changed"""
    difference: str
    """As `diff -u` prints it."""
