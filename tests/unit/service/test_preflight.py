"""What is looked at of a bundle before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from crosszone import service

MODEL = {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512}
BOX = {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 1, "network": "100 Gbit/s"}


def job(num_zones: int) -> dict[str, Any]:
    zones = [
        {"name": f"zone{index}", "nodes": [{**BOX, "addresses": [f"10.{index}.0.1"]}]} for index in range(num_zones)
    ]
    return {
        "model": MODEL,
        "workload": {"sequence_length": 32, "global_batch_size": 4, "precision": "fp32"},
        "cluster": {"zones": zones, "default_link": {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}},
        "plan": {"dp": num_zones, "microbatch_size": 1},
    }


@pytest.mark.parametrize(
    ("framework", "backend", "num_zones", "options", "port"),
    [
        ("ddp", "local", 1, {}, None),
        ("ddp", "local", 2, {"device": "cpu"}, None),
        ("ddp", "ssh", 1, {}, None),
        ("ddp", "ssh", 2, {}, 29555),
        ("ddp", "mpi", 1, {}, 29555),
        ("horovod", "local", 1, {}, 29555),
    ],
)
def test_the_port_is_the_one_at_which_ranks_meet(tmp_path, framework, backend, num_zones, options, port) -> None:
    """One torchrun that starts all ranks finds a free one."""
    bundle = service.deploy(
        service.read(job(num_zones)), framework=framework, backend=backend, num_steps=1, checkpoints="none", port=29555,
        **options,
    )  # fmt: skip
    service.write_bundle(bundle, tmp_path)
    assert service.probe_request(tmp_path).port == port
    assert service.probe_request(tmp_path, port=29777).port == 29777
