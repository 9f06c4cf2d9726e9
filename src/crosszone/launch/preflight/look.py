"""Looks at the nodes of a job: who can be asked, who reaches whom, how far and how fast."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from crosszone.core.preflight import NodeFacts, NodePath, PortTry, ProbedNode, ProbeRequest, Rate
from crosszone.launch.preflight.findings import slow_pairs
from crosszone.launch.preflight.reach_file import Reach, start_command
from crosszone.launch.preflight.sample import (
    MOST_NODES_AT_ONCE,
    STREAM_COUNTS,
    Pair,
    Trial,
    measured_pairs,
    reach_pairs,
    rounds,
    schedule,
    zone_pairs,
)
from crosszone.launch.preflight.seen import FolderSeen, Seen, ZoneRate, node_facts
from crosszone.launch.preflight.session import NodeLost, NodeSession, in_parallel

START_SECONDS = 15.0
"""To log in, start Python and say what the node is."""
ANSWER_SECONDS = 12.0
NUM_PORTS = 2
"""Of those that the system chooses, as ranks connect to."""
LIMIT_SECONDS = 0.3
WARMUP_SECONDS = 0.3
WARMUP_RTTS = 10
"""Slow start doubles what is on the way each round trip (RFC 5681, section 3.1): ten are a factor of a thousand."""
MOST_WARMUP_SECONDS = 1.5
MARGIN_SECONDS = 0.3
AT_LIMIT_FRACTION = 0.7
RISING_RATIO = 1.15
DEADLINE_SECONDS = 46.0
"""After which no measurement is started."""
Progress = Callable[[float], None]


def look(request: ProbeRequest, reach: Reach, *, on_progress: Progress = lambda fraction: None) -> Seen:
    """Start the program on every node, ask it everything, and end it. Every wait has an end."""
    with _sessions(request.nodes, reach) as (sessions, lost):
        visit = _Visit(request=request, sessions=sessions, lost=lost, on_progress=on_progress)
        visit.ask_facts()
        visit.on_progress(0.1)
        visit.open_ports()
        visit.try_ports()
        visit.on_progress(0.2)
        visit.measure_paths()
        visit.on_progress(0.3)
        visit.measure_rates()
        visit.share_folder()
        visit.on_progress(1.0)
        return visit.seen()


def watch(request: ProbeRequest, reach: Reach, *, has_rates: bool) -> Seen:
    """Who reaches whom and how far, while a run goes on; `has_rates`: also what one connection between zones gets."""
    with _sessions(request.nodes, reach) as (sessions, lost):
        visit = _Visit(request=request, sessions=sessions, lost=lost, on_progress=lambda fraction: None)
        visit.ask_facts(has_limits=False)
        visit.open_ports()
        visit.try_ports()
        visit.measure_paths()
        if has_rates:
            visit.measure_single_streams()
        return visit.seen()


@contextmanager
def _sessions(nodes: Sequence[ProbedNode], reach: Reach) -> Iterator[tuple[dict[int, NodeSession], dict[int, str]]]:
    token = secrets.token_hex(16)
    with ExitStack() as stack:
        started = in_parallel(
            {node.index: partial(NodeSession, node, start_command(node, reach), token=token) for node in nodes}
        )
        sessions = {index: each for index, each in started.items() if isinstance(each, NodeSession)}
        # All at the same time: one that hangs takes a while to end.
        stack.callback(in_parallel, {index: session.close for index, session in sessions.items()})
        yield sessions, {index: str(each) for index, each in started.items() if isinstance(each, Exception)}


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One look, as it fills."""

    request: ProbeRequest
    sessions: dict[int, NodeSession]
    lost: dict[int, str]
    on_progress: Progress
    started: float = field(default_factory=time.monotonic)
    facts: dict[int, NodeFacts] = field(default_factory=dict)
    limits: dict[int, float | None] = field(default_factory=dict)
    ports: dict[int, list[int]] = field(default_factory=dict)
    port_problem: str | None = None
    paths: dict[Pair, NodePath] = field(default_factory=dict)
    hidden: list[tuple[int, int, str]] = field(default_factory=list)
    zone_rates: list[ZoneRate] = field(default_factory=list)
    folder: FolderSeen | None = None
    not_measured: list[str] = field(default_factory=list)

    def ask_facts(self, *, has_limits: bool = True) -> None:
        """What each node is, and how fast its program is; those who do not answer are lost."""
        folder = self.request.checkpoint_folder
        found = self._everyone("facts", {index: {"folder": folder} for index in self.sessions})
        self.facts = {index: node_facts(said) for index, said in found.items()}
        if has_limits and len(self.request.nodes) > 1:
            asked = {index: {"seconds": LIMIT_SECONDS} for index in self.facts}
            self.limits = self._everyone("limit", asked)

    def open_ports(self) -> None:
        """The port where ranks meet on the first node, where they are told one, and others on all."""
        first, port = self.request.nodes[0].index, self.request.port
        asked = {}
        for node in self.request.nodes:
            ports = [port] if node.index == first and port is not None else []
            loopback = (node.address or "").startswith("127.")
            address = node.address if loopback else ""
            asked[node.index] = {"address": address, "ports": [*ports, *([0] * NUM_PORTS)]}
        for index, opened in self._everyone("listen", asked).items():
            self.ports[index] = [each["port"] for each in opened if each["problem"] is None]
            if index == first and port is not None:
                self.port_problem = opened[0]["problem"]

    def try_ports(self) -> None:
        """Every node connects to the others; then to the address that they tell their peers, where it is another."""
        pairs = [pair for pair in reach_pairs(self.request.nodes) if set(pair) <= self.ports.keys()]
        address = {node.index: node.address for node in self.request.nodes}
        for pair, found in self._reach(pairs, {pair: address[pair[1]] for pair in pairs}).items():
            self.paths[pair] = _path(pair, self.ports[pair[1]], found)
        own = {
            pair: self.paths[pair[::-1]].source_address
            for pair in pairs
            if pair[::-1] in self.paths and self.paths[pair].is_open
        }
        other = {
            pair: source
            for pair, source in own.items()
            if source is not None and not source.startswith("127.") and source not in self.paths[pair].resolved
        }
        for pair, found in self._reach(list(other), other).items():
            if any(each["problem"] is not None for each in found["ports"]):
                self.hidden.append((*pair, str(other[pair])))

    def measure_paths(self) -> None:
        """Round trips, clocks and packet sizes of the sampled pairs, and of all with the first node."""
        first = self.request.nodes[0].index
        wanted = [*measured_pairs(self.request.nodes), *((first, index) for index in self.ports if index != first)]
        pairs = list(dict.fromkeys((min(pair), max(pair)) for pair in wanted))
        opened = [pair for pair in pairs if self._is_open(pair)]
        for each in rounds(Trial(pairs=(pair,), num_streams=1) for pair in opened):
            now = [trial.pairs[0] for trial in each]
            if self._is_late():
                self.not_measured.append(f"round trips of {len(now)} pairs: time was up.")
                continue
            for pair, found in self._each("ping", {pair: self._end(pair) for pair in now}).items():
                self._note_ping(pair, found)
            self._measure_mtu([way for pair in now for way in (pair, pair[::-1])])

    def measure_rates(self) -> None:
        """Bandwidths by number of streams, round after round."""
        warmup_seconds, trial_seconds = self._trial_seconds()
        reached = [node for node in self.request.nodes if node.index in self.ports]
        num_away = len(self.request.nodes) - len(reached)
        if num_away:
            self.not_measured.append(f"bandwidth of {num_away} of {len(self.request.nodes)} nodes: out of reach.")
        planned, left_out = schedule(reached, trial_seconds=trial_seconds)
        self.not_measured += left_out
        for number, trials in enumerate(planned):
            open_trials = [trial for trial in trials if all(self._is_open(pair) for pair in trial.pairs)]
            if self._is_late():
                self.not_measured.append(f"bandwidth of {len(open_trials)} trials: time was up.")
                continue
            self._measure_round(open_trials, warmup_seconds, trial_seconds)
            self.on_progress(0.3 + 0.6 * (number + 1) / len(planned))
        # Nobody is accused of what another program did meanwhile: the better of two counts.
        for pair, _ in list(slow_pairs(self.request, self.paths)):
            if not self._is_late():
                again = Trial(pairs=(pair,), num_streams=STREAM_COUNTS[-1])
                self._measure_round([again], warmup_seconds, trial_seconds)

    def measure_single_streams(self) -> None:
        """What one connection gets on each path between zones, one after the other."""
        warmup_seconds, trial_seconds = self._trial_seconds()
        opened = [pair for pair in zone_pairs(self.request.nodes) if self._is_open(pair)]
        for trials in rounds(Trial(pairs=(pair,), num_streams=1) for pair in opened):
            if not self._is_late():
                self._measure_round(trials, warmup_seconds, trial_seconds)

    def share_folder(self) -> None:
        """One node writes a file; do the others see it?"""
        folder, nodes = self.request.checkpoint_folder, [index for index in self.sessions if index in self.facts]
        if folder is None or not nodes:
            return
        writer, others = nodes[0], nodes[1:]
        asked = {"folder": folder, "name": f".crosszone-{secrets.token_hex(8)}"}
        written = self._everyone("write", {writer: asked}).get(writer)
        if written is None:
            return
        path, problem = written["path"], written["problem"]
        saw = self._everyone("sees", {index: {"path": path} for index in others}) if not problem else {}
        missed = tuple(index for index in others if saw.get(index) is False)
        self.folder = FolderSeen(writer=writer, problem=problem, missed_by=missed)
        self._everyone("remove", {index: {"path": path} for index in (writer, *missed)})

    def seen(self) -> Seen:
        """What came together."""
        return Seen(
            facts=tuple(self.facts.get(node.index) for node in self.request.nodes),
            lost=self.lost,
            paths=self.paths,
            port_problem=self.port_problem,
            hidden=tuple(self.hidden),
            zone_rates=tuple(self.zone_rates),
            folder=self.folder,
            not_measured=tuple(self.not_measured),
        )

    def _trial_seconds(self) -> tuple[float, float]:
        """(until a connection is at its speed, of a whole trial)"""
        rtt_seconds = max((path.rtt_seconds or 0.0 for path in self.paths.values()), default=0.0)
        warmup_seconds = min(max(WARMUP_SECONDS, WARMUP_RTTS * rtt_seconds), MOST_WARMUP_SECONDS)
        return warmup_seconds, warmup_seconds + self.request.window_seconds + 2 * MARGIN_SECONDS + 4 * rtt_seconds

    def _everyone(self, what: str, asked: Mapping[int, Mapping[str, Any]]) -> dict[int, Any]:
        """The answers of those who can be asked, by node."""
        found = self._ask({(index, index): (what, each) for index, each in asked.items()})
        return {pair[0]: value for pair, value in found.items()}

    def _each(self, what: str, asked: Mapping[Pair, Mapping[str, Any]]) -> dict[Pair, Any]:
        """The answers of the first node of each pair."""
        return self._ask({pair: (what, each) for pair, each in asked.items()})

    def _ask(self, asked: Mapping[Pair, tuple[str, Mapping[str, Any]]]) -> dict[Pair, Any]:
        """Ask all at the same time. What failed has no answer; who does not answer is lost, and not asked again."""
        limit_seconds = ANSWER_SECONDS + self.request.window_seconds if self.facts else START_SECONDS
        found = in_parallel(
            {
                pair: partial(self.sessions[pair[0]].call, what, limit_seconds=limit_seconds, **arguments)
                for pair, (what, arguments) in asked.items()
                if pair[0] in self.sessions and pair[0] not in self.lost
            }
        )
        for pair, value in found.items():
            if isinstance(value, NodeLost):
                self.lost.setdefault(pair[0], str(value))
        return {pair: value for pair, value in found.items() if not isinstance(value, Exception)}

    def _reach(self, pairs: Sequence[Pair], addresses: Mapping[Pair, str | None]) -> dict[Pair, dict[str, Any]]:
        targets: dict[int, list[Pair]] = {}
        for pair in pairs:
            targets.setdefault(pair[0], []).append(pair)
        asked = {
            index: {
                "targets": [
                    {"address": addresses[pair] or "127.0.0.1", "ports": self.ports[pair[1]], "node": pair[1]}
                    for pair in mine
                ]
            }
            for index, mine in targets.items()
        }
        answers = self._everyone("reach", asked)
        return {
            pair: said for index, found in answers.items() for pair, said in zip(targets[index], found, strict=True)
        }

    def _is_open(self, pair: Pair) -> bool:
        path = self.paths.get(pair)
        return path is not None and path.is_open and not self.lost.keys() & set(pair)

    def _is_late(self) -> bool:
        return time.monotonic() - self.started > DEADLINE_SECONDS

    def _end(self, pair: Pair) -> dict[str, Any]:
        """Where a node finds the other; its last port, which the system chose."""
        return {"address": self.paths[pair].resolved[0], "port": self.ports[pair[1]][-1]}

    def _note_ping(self, pair: Pair, found: Mapping[str, float]) -> None:
        for way, sign in ((pair, 1.0), (pair[::-1], -1.0)):
            if way in self.paths:
                self.paths[way] = dataclasses.replace(
                    self.paths[way],
                    rtt_seconds=found["rtt_seconds"],
                    jitter_seconds=found["jitter_seconds"],
                    clock_offset_seconds=sign * found["clock_offset_seconds"],
                )

    def _measure_mtu(self, ways: Sequence[Pair]) -> None:
        asked = {}
        for way in ways:
            path = self.paths.get(way)
            device = self.facts[way[0]].interface(path.interface) if path is not None else None
            if path is not None and path.is_open and device is not None and path.rtt_seconds is not None:
                asked[way] = {**self._end(way), "most_bytes": device.mtu_bytes, "rtt_seconds": path.rtt_seconds}
        for way, found in self._each("path_mtu", asked).items():
            self.paths[way] = dataclasses.replace(self.paths[way], path_mtu_bytes=found)

    def _measure_round(self, trials: Sequence[Trial], warmup_seconds: float, trial_seconds: float) -> None:
        window_seconds = self.request.window_seconds
        asked: dict[Pair, tuple[str, dict[str, Any]]] = {}
        for trial in trials:
            for pair in trial.pairs:
                test = {"test": secrets.token_hex(8), "num_streams": trial.num_streams}
                asked[pair] = ("send", {**self._end(pair), **test, "seconds": trial_seconds - MARGIN_SECONDS})
                counted = {**test, "warmup_seconds": warmup_seconds, "window_seconds": window_seconds}
                asked[pair[::-1]] = ("count", counted)
        found = self._ask(asked)
        for trial in trials:
            rates = [self._rate(pair, trial, found) for pair in trial.pairs]
            self._note_rates(trial, [rate for rate in rates if rate is not None])

    def _rate(self, pair: Pair, trial: Trial, found: Mapping[Pair, Any]) -> Rate | None:
        sent, counted = found.get(pair), found.get(pair[::-1])
        if counted is None or counted["problem"] is not None:
            return None
        first, second = counted["halves"]
        rate, limit = counted["bytes_per_second"], min((self.limits.get(node) or 0.0 for node in pair), default=0.0)
        return Rate(
            num_streams=trial.num_streams,
            bytes_per_second=rate,
            resent_fraction=None if sent is None else sent["resent_fraction"],
            is_rising=second > RISING_RATIO * first,
            is_at_limit=limit > 0 and rate > AT_LIMIT_FRACTION * limit,
        )

    def _note_rates(self, trial: Trial, rates: Sequence[Rate]) -> None:
        if len(rates) < len(trial.pairs):
            names = ", ".join(self._arrow(pair) for pair in trial.pairs)
            self.not_measured.append(f"bandwidth {names}, {trial.num_streams} streams: not all came.")
        elif len(rates) == 1:
            path = self.paths[trial.pairs[0]]
            self.paths[trial.pairs[0]] = dataclasses.replace(path, rates=(*path.rates, rates[0]))
        else:
            zone = {node.index: node.zone for node in self.request.nodes}
            start, end = trial.pairs[0]
            assert len(rates) <= MOST_NODES_AT_ONCE
            total = Rate(
                num_streams=trial.num_streams,
                num_pairs=len(rates),
                bytes_per_second=sum(rate.bytes_per_second for rate in rates),
                is_rising=any(rate.is_rising for rate in rates),
                is_at_limit=any(rate.is_at_limit for rate in rates),
            )
            self.zone_rates.append(ZoneRate(from_zone=zone[start], to_zone=zone[end], rate=total))

    def _arrow(self, pair: Pair) -> str:
        label = {node.index: node.label for node in self.request.nodes}
        return f"{label[pair[0]]} -> {label[pair[1]]}"


def _path(pair: Pair, ports: Sequence[int], found: Mapping[str, Any]) -> NodePath:
    good: Mapping[str, Any] = next((each for each in found["ports"] if each.get("problem") is None), {})
    return NodePath(
        from_node=pair[0],
        to_node=pair[1],
        resolved=tuple(found["resolved"]),
        tries=tuple(
            PortTry(port=port, problem=each.get("problem")) for port, each in zip(ports, found["ports"], strict=False)
        ),
        interface=good.get("interface"),
        source_address=good.get("source"),
        seen_address=good.get("seen"),
    )
