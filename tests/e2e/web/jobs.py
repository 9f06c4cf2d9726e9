"""Jobs as an address holds them."""

from __future__ import annotations

import base64
import zlib

TWO_ZONES = """\
model: llama-3-8b
workload: {sequence_length: 16384, global_batch_size: 128, train_tokens: 100B}
cluster:
  zones:
    - {name: east, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 8, price: 2 USD/h}]}
    - {name: west, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 8, price: 2 USD/h}]}
  links:
    - {between: [east, west], bandwidth: 100 Gbit/s, rtt: 30 ms, egress_price: 0.02 USD/GB}
"""
"""Planned in a second; its sequences are longer than the model was made for."""


def with_job(path, text):
    """The address of a page that looks at a job."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(text.encode()) + packer.flush()
    return f"{path}#job={base64.urlsafe_b64encode(packed).decode().rstrip('=')}"
