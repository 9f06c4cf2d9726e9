"""Activations that are packed on their way between stages in different zones."""

import numpy as np

from crosszone.core.tables import Bools, Floats
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.codecs.content import Content
from crosszone.timeline.inputs import Inputs
from crosszone.timeline.rows import Tables
from crosszone.timeline.sync_choice import stream_codec


def packed_activations(
    inputs: Inputs, tables: Tables, message_bytes: Floats, rank_bytes: Floats, crosses: Bools
) -> tuple[Floats, Floats]:
    """(bytes of a message as it is sent, seconds to pack and unpack one rank's part), a value per stage row.

    Hidden states and their gradients alike; nothing changes inside a zone. Packing is taken as a part of the way, which
    a schedule may hide: it reads and writes a message once or twice, far less than a stage's own work.
    """
    packing = stream_codec(tables.settings.sync, "activations")
    if not packing.changes_mathematics:
        return message_bytes, np.zeros(len(message_bytes))
    element_bytes = DTYPE_BYTES[inputs.problem.workload.dtypes.activations]
    message = packing.encoded(Content(num_elements=message_bytes / element_bytes, element_bytes=element_bytes))
    part = packing.encoded(Content(num_elements=rank_bytes / element_bytes, element_bytes=element_bytes))
    seconds = part.traffic_bytes / inputs.hardware.memory_bytes_per_second[tables.stages.pool]
    return np.where(crosses, message.wire_bytes, message_bytes), np.where(crosses, seconds, 0.0)
