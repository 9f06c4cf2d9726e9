"""What a rank keeps so that zones can agree: outer states, gradients on their way, what codecs left out."""

from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.codecs.content import Content
from crosszone.cost.codecs.matrices import model_matrices
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.cost.sync import sync_method
from crosszone.cost.sync.exchange import State
from crosszone.timeline.stages import StageView
from crosszone.timeline.sync_choice import num_fragments, stream_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementBytes:
    """One value per stage row, of one rank; zero where replicas lie in one zone."""

    state: Floats
    """All the time, with the optimizer's states."""
    host: Floats
    """All the time, on the host."""
    passing: Floats
    """While zones exchange, when activations are gone."""
    error: Floats
    """What codecs left out and add next time."""


def agreement_bytes(view: StageView) -> AgreementBytes:
    """Bytes of each rank's share: sharded as its states are, errors over all ranks that send a part."""
    settings, workload = view.settings, view.inputs.problem.workload
    zero = np.zeros(len(view.plans))
    if not view.crosses_dp.any():
        return AgreementBytes(state=zero, host=zero, passing=zero, error=zero)
    sizes, dtypes = state_bytes(workload, weights_are_master=False), workload.dtypes
    held = sync_method(settings.sync.method).held(
        State(
            weight_bytes=DTYPE_BYTES[dtypes.master_weights or dtypes.weights],
            gradient_bytes=sizes.gradient,
            reduction_bytes=sizes.reduction,
            num_fragments=num_fragments(settings.sync, view.inputs.problem.model.num_layers),
        )
    )
    own = np.where(view.crosses_dp, view.dense / view.num_shards + view.expert / view.expert_shards, 0.0)
    return AgreementBytes(
        state=own * held.state, host=own * held.host, passing=own * held.passing, error=_error_bytes(view)
    )


def _error_bytes(view: StageView) -> Floats:
    """A flat ring's ranks pack all that they hold; once per zone, its ranks share the work."""
    sync, model = view.settings.sync, view.inputs.problem.model
    packing = stream_codec(sync, sync_method(sync.method).STREAM)
    total = float(num_parameters(model))
    content = Content(
        num_elements=total, element_bytes=4.0, matrices=model_matrices(model), num_slices=view.plans.tp.astype(float)
    )
    ranks = 1.0 if sync_method(sync.method).IS_FLAT else view.groups.total(view.ranks)
    return np.where(view.crosses_dp, packing.encoded(content).state_bytes / total * view.parameters / ranks, 0.0)
