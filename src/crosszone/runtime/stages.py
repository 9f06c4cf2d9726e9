"""A model cut into pipeline stages: the token table, the layers of each stage, the head.

A stage runs the model's own forward code over its own layers. What belongs to the ends (positions, the last norm,
projections) is taken out of the others, so that no weight is there twice but a tied table.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from crosszone.errors import InfeasiblePlan
from crosszone.runtime.model import decoder_layers, initialise

OF_FIRST = ("embed_positions", "wpe", "project_in")
OF_LAST = ("norm", "final_layer_norm", "ln_f", "project_out")
"""Modules of `transformers` beside the layers, before and after them: Llama, Qwen, OPT, GPT-2."""
OPTIONAL = ("project_in", "project_out")
"""Where the code asks for None."""


class Cut:
    """A model on torch's meta device, and where it is cut: `stage_layers` in each stage."""

    def __init__(self, model: nn.Module, stage_layers: Sequence[int], *, seed: int, device: torch.device) -> None:
        layers = decoder_layers(model)
        if sum(stage_layers) != len(layers):
            raise InfeasiblePlan.of(
                f"{len(stage_layers)} stages hold {sum(stage_layers)} layers, but the model has {len(layers)}.",
                where="stage_layers",
            )
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.table: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
        self.head: nn.Linear = model.get_output_embeddings()  # type: ignore[operator]
        self.is_tied = self.head.weight is self.table.weight
        self.seed, self.device = seed, device
        self._trunk = next(each for each in model.modules() if any(_holds(child, layers) for child in each.children()))
        self._layers, self._bounds = layers, (0, *itertools.accumulate(stage_layers))

    @property
    def num_stages(self) -> int:
        """Stages of the pipeline."""
        return len(self._bounds) - 1

    def trunk(self, stage: int) -> nn.Module:
        """The model without table and head, and with the layers of `stage` alone; only one stage can be asked for."""
        trunk = self._trunk
        absent = (*(OF_FIRST if stage > 0 else ()), *(OF_LAST if stage < self.num_stages - 1 else ()))
        for name, child in list(trunk.named_children()):
            if child is self.table:
                setattr(trunk, name, None)
            elif _holds(child, self._layers):
                setattr(trunk, name, nn.ModuleList(self._layers[self._bounds[stage] : self._bounds[stage + 1]]))
            elif name in absent:
                setattr(trunk, name, None if name in OPTIONAL else _Nothing(adds=name in OF_FIRST))
            elif name not in (*OF_FIRST, *OF_LAST) and any(True for _ in child.parameters()):
                raise InfeasiblePlan.of(
                    f"{type(trunk).__name__}.{name} belongs to no stage that the trainer knows.",
                    where="model",
                    hint="Set pp=1, or take your own script as the entry.",
                )
        return trunk

    def initialise(self, module: nn.Module) -> None:
        """Give the weights of `module`, a part of the model, the first values that they have in the whole of it."""
        names = [self.names[id(parameter)] for parameter in module.parameters()]
        initialise(module, seed=self.seed, device=self.device, names=names)


class Part(nn.Module):
    """What one item of the pipeline holds."""

    def _init_weights(self, module: nn.Module) -> None:
        """Called for modules with buffers, as in `transformers`."""
        raise AssertionError(f"{type(module).__name__} has no buffers to fill")


class Table(Part):
    """The token table; with tied weights the head too."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.rows = cut.table
        cut.initialise(self)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (batch, sequence) to vectors (batch, sequence, width of the table)."""
        vectors: torch.Tensor = self.rows(tokens)
        return vectors


class Stage(Part):
    """Layers of one stage."""

    def __init__(self, cut: Cut, index: int) -> None:
        super().__init__()
        self.trunk = cut.trunk(index)
        cut.initialise(self)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, sequence, hidden) to the same; the ends may have the table's width."""
        found: torch.Tensor = self.trunk(inputs_embeds=hidden, use_cache=False).last_hidden_state
        return found

    def _init_weights(self, module: nn.Module) -> None:
        self.trunk._init_weights(module)  # type: ignore[operator]


class Head(Part):
    """A head with weights of its own."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.linear = cut.head
        cut.initialise(self)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, sequence, hidden) to logits (batch, sequence, vocabulary)."""
        logits: torch.Tensor = self.linear(hidden)
        return logits


def tied_logits(table: Table, hidden: torch.Tensor) -> torch.Tensor:
    """Logits by the rows of the table."""
    return nn.functional.linear(hidden, table.rows.weight)


class _Nothing(nn.Module):
    """In the place of a module of another stage: adds nothing, or passes on."""

    def __init__(self, *, adds: bool) -> None:
        super().__init__()
        self._adds = adds

    def forward(self, first: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return torch.zeros((), device=first.device) if self._adds else first


def _holds(module: nn.Module, layers: list[nn.Module]) -> bool:
    return isinstance(module, nn.ModuleList) and len(module) == len(layers) and module[0] is layers[0]
