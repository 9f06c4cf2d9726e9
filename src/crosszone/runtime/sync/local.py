"""Zones that step by themselves and agree on the weights every so many steps: local SGD, DiLoCo, Streaming DiLoCo.

With agreed weights a, own weights w, tokens of a zone as its share s of all, and the sum over zones:
    change    = sum of s (a - w)
    momentum  = m momentum + change
    a         = a - rate (change + m momentum)
    w         = a,  or f w + (1 - f) a  where the sum arrives some inner steps after it was begun
The mean of the weights (local SGD: rate 1, m 0) and Nesterov's outer step (Douillard et al. 2023, arXiv 2311.08105,
algorithm 1) differ by their constants; parts of the model in turn, late and mixed are those of Douillard et al. 2025
(Streaming DiLoCo, arXiv 2501.18512, algorithm 2).

Ranks of a zone hold the same weights, whole or in shards, and zones may share them in other ways than each other. A
carrier of `ZoneGroups` takes its slice of each parameter's change, gathered a few parameters at a time; carriers of
the same slice add it up across zones, beside the next steps where it may be late; then the slices are handed out in
the zone, and each rank takes the step of what it holds. All that is between ranks of a zone is in the order of the
program, so that it meets nothing of the step's own.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import distributed, nn

from crosszone.core.train import TrainLocal
from crosszone.runtime.model import decoder_layers
from crosszone.runtime.sync.hierarchical import ZoneGroups, hand_out, in_turn
from crosszone.runtime.sync.packing import sum_across
from crosszone.runtime.sync.shards import as_shared, own_part, part_of, whole

BUCKET_ELEMENTS = 1 << 26
"""Of the parameters that are gathered at once: 256 MiB in fp32. A larger one goes alone. Chosen: sent in seconds or
less where a round trip is a tenth of one."""
STOPPING, LOSS, TOKENS = range(3)
"""Places of the words that travel with an exchange: ranks to stop, the sum of losses, and of how many tokens."""


@dataclass(slots=True, kw_only=True)
class _Sent:
    """One part of the model on its way."""

    step: int
    """Steps that were done when it left."""
    fragment: int
    words: torch.Tensor
    slices: list[torch.Tensor] = field(default_factory=list)
    """Of each bucket, what this rank carries; nothing where it carries none."""
    future: torch.futures.Future[torch.Tensor] | None = None
    arrived: dict[str, torch.Tensor] | None = None
    """The change, as far as this rank holds it; None: still on its way."""


class LocalSteps:
    """One rank of a zone that steps by itself."""

    def __init__(
        self, model: nn.Module, groups: ZoneGroups, how: TrainLocal, *, codec: str | None, token_share: float
    ) -> None:
        self._how, self._groups, self._codec, self._share = how, groups, codec, token_share
        self._parameters = dict(model.named_parameters())
        self._buckets = [list(_buckets(names, self._parameters)) for names in fragments(model, how.num_fragments)]
        # What is exchanged in parts needs only one of them on the GPU.
        self._home = torch.device("cpu") if how.num_fragments > 1 else None
        self._agreed = {name: self._kept(own_part(each).float().clone()) for name, each in self._parameters.items()}
        self._momentum = {name: torch.zeros_like(each) for name, each in self._agreed.items()}
        if not how.outer_momentum:
            self._momentum.clear()
        self._words = torch.zeros(3, dtype=torch.float64, device=next(model.parameters()).device)
        self._sent = deque[_Sent]()
        self._run = in_turn()

    def after_step(
        self, num_done: int, *, loss_sum: float, num_tokens: float, is_stopping: bool, is_last: bool
    ) -> tuple[float, float, float] | None:
        """Begin and end what is due after a zone's own step; words of all zones since the exchange before, or None.

        They are (ranks that were asked to stop, sum of losses, tokens). After the last step all zones hold the same
        weights.
        """
        self._words += torch.tensor([is_stopping, loss_sum, num_tokens]).to(self._words)
        due = due_fragments(num_done, every=self._how.every, num_fragments=self._how.num_fragments)
        heard: list[torch.Tensor] = []
        while self._sent and (is_last or self._sent[0].step + self._how.num_delay_steps <= num_done):
            heard.append(self._end(self._sent.popleft(), num_done))
        for fragment in range(len(self._buckets)) if is_last else due:
            self._begin(fragment, num_done)
        while self._sent and (is_last or not self._how.num_delay_steps):
            heard.append(self._end(self._sent.popleft(), num_done))
        if not heard:
            return None
        stopping, loss, tokens = torch.stack(heard).sum(dim=0).tolist()
        return stopping, loss, tokens

    @property
    def is_agreed(self) -> bool:
        """Whether nothing is late in this way to agree: zones hold the same weights after each exchange."""
        return self._how.num_fragments == 1 and not self._how.num_delay_steps

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside weights and optimizer; what is on its way arrives first.

        Loading into these tensors loads the state.
        """
        for each in self._sent:
            self._arrive(each)
        for words in (self._words, *(each.words for each in self._sent)):
            words[STOPPING] = 0.0  # a rank that is asked to stop says so again; one that goes on from here must not
        return {
            "agreed": self._shared(self._agreed),
            "outer_momentum": self._shared(self._momentum),
            "words": self._words,
            **{
                f"sent-{each.step}-{each.fragment}": {**self._shared(each.arrived or {}), "words": each.words}
                for each in self._sent
            },
        }

    def expect(self, keys: Sequence[str]) -> None:
        """Make room for what was on its way when a checkpoint with these `keys` was saved."""
        found = {tuple(key.partition(".")[0].split("-")[1:]) for key in keys if key.startswith("sent-")}
        for step, fragment in sorted((int(step), int(fragment)) for step, fragment in found):
            names = itertools.chain(*self._buckets[fragment])
            arrived = {name: torch.zeros_like(own_part(self._parameters[name]).float()) for name in names}
            words = torch.zeros_like(self._words)
            self._sent.append(_Sent(step=step, fragment=fragment, words=words, arrived=arrived))

    def _begin(self, fragment: int, num_done: int) -> None:
        sent = _Sent(step=num_done, fragment=fragment, words=self._words.clone())
        self._words.zero_()
        groups = self._groups
        for names in self._buckets[fragment]:
            flat = torch.cat([whole(self._change(name), self._parameters[name]) for name in names])
            if groups.part is not None:
                sent.slices.append(_slices(flat, groups)[groups.part] * self._share)
        if groups.across is not None:
            sent.future = self._run(lambda: self._added(sent), sent.words.device)
        self._sent.append(sent)

    def _change(self, name: str) -> torch.Tensor:
        own = own_part(self._parameters[name]).float()
        return self._agreed[name].to(own.device) - own

    def _added(self, sent: _Sent) -> torch.Tensor:
        """Add up across zones; beside the steps, where only carriers meet."""
        assert self._groups.across is not None, "who carries a part has peers"
        for values in sent.slices:
            sum_across(values, self._groups.across, codec=self._codec)
        distributed.all_reduce(sent.words, group=self._groups.across)
        return sent.words

    def _arrive(self, sent: _Sent) -> dict[str, torch.Tensor]:
        """Wait for the sum, and hand it out in the zone."""
        if sent.arrived is None:
            if sent.future is not None:
                sent.future.wait()
            sent.arrived = dict(self._handed_out(sent))
            distributed.broadcast(sent.words, self._groups.carriers[0], group=self._groups.inside)
            sent.slices.clear()
        return sent.arrived

    def _handed_out(self, sent: _Sent) -> Iterator[tuple[str, torch.Tensor]]:
        groups = self._groups
        for index, names in enumerate(self._buckets[sent.fragment]):
            sizes = [self._parameters[name].numel() for name in names]
            parts = _slices(torch.empty(sum(sizes), device=sent.words.device), groups)
            own = None
            if groups.part is not None:
                own = parts[groups.part].copy_(sent.slices[index])
                own = own.clone()  # no collective reads where it writes
            hand_out(list(parts), own, groups)
            flat = torch.cat(list(parts))[: sum(sizes)]
            for name, values in zip(names, torch.split(flat, sizes), strict=True):
                yield name, part_of(values, self._parameters[name]).clone()

    def _end(self, sent: _Sent, num_done: int) -> torch.Tensor:
        """Take the outer step of what arrived; the words that came with it."""
        own_fraction = self._how.own_fraction if num_done > sent.step else 0.0
        with torch.no_grad():
            for name, change in self._arrive(sent).items():
                agreed = self._outer_step(name, change)
                own = own_part(self._parameters[name])
                own.copy_(agreed.lerp(own.to(agreed), own_fraction) if own_fraction else agreed)
        return sent.words

    def _outer_step(self, name: str, change: torch.Tensor) -> torch.Tensor:
        how, agreed = self._how, self._agreed[name].to(change.device)
        if how.outer_momentum:
            momentum = self._momentum[name].to(change.device).mul_(how.outer_momentum).add_(change)
            self._momentum[name].copy_(momentum)
            change = change + how.outer_momentum * momentum
        agreed -= how.outer_learning_rate * change
        self._agreed[name].copy_(agreed)
        return agreed

    def _kept(self, values: torch.Tensor) -> torch.Tensor:
        return values if self._home is None else values.to(self._home)

    def _shared(self, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: as_shared(each, self._parameters[name]) for name, each in values.items()}


def due_fragments(num_done: int, *, every: int, num_fragments: int) -> list[int]:
    """Parts whose exchange begins after so many steps: part f after the (f + 1)-th of F even shares of `every` steps.

    As `crosszone.timeline.layers` has it; none begins before the first step of a round is done.
    """
    place = (num_done - 1) % every + 1
    return [part for part in range(num_fragments) if max((part + 1) * every // num_fragments, 1) == place]


def fragments(model: nn.Module, num_fragments: int) -> list[list[str]]:
    """Names of the parameters of each part: every `num_fragments`-th layer (Douillard et al. 2025, sec. 3.1, strided).

    What comes before the layers goes with the first of them, what comes after with the last.
    """
    layer_of = {
        id(parameter): index for index, layer in enumerate(decoder_layers(model)) for parameter in layer.parameters()
    }
    found: list[list[str]] = [[] for _ in range(num_fragments)]
    layer = 0
    for name, parameter in model.named_parameters():
        layer = layer_of.get(id(parameter), layer)
        found[layer % num_fragments].append(name)
    return found


def _buckets(names: Sequence[str], parameters: dict[str, nn.Parameter]) -> Iterator[list[str]]:
    """Names that are gathered at once, in order: whatever ranks hold of them, all cut the same."""
    bucket: list[str] = []
    size = 0
    for name in names:
        if bucket and size + parameters[name].numel() > BUCKET_ELEMENTS:
            yield bucket
            bucket, size = [], 0
        bucket.append(name)
        size += parameters[name].numel()
    if bucket:
        yield bucket


def _slices(flat: torch.Tensor, groups: ZoneGroups) -> tuple[torch.Tensor, ...]:
    """One slice for each carrier, all alike; the last ones are filled up with zeros."""
    num_parts = len(groups.carriers)
    return nn.functional.pad(flat, (0, -flat.numel() % num_parts)).chunk(num_parts)
