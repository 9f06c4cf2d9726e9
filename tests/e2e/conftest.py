"""What several tests that run real programs share."""

import pytest


@pytest.fixture
def small_task() -> dict:
    """A training task over two nodes, small enough for a CPU; a test adds where and how long it trains."""
    return {
        "taskName": "small",
        "datasetId": "synthetic",
        "datasetVersionId": "1",
        "model": {
            "num_layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {
            "sequence_length": 32,
            "global_batch_size": 12,
            "precision": "fp32",
            "checkpoint": {"every": "1 s"},
        },
        "distributedConfig": {
            "nodeIds": ["north-1", "south-1"],
            "framework": "pytorch-ddp",
            "strategy": {"dataParallel": 3, "microBatchSize": 2},
            "links": [{"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
    }
