"""Rows with published numbers."""

import pytest

from crosszone.verify.row import Row

# Narayanan et al. 2021 (SC21, arXiv 2104.04473), Table 1, 18.4 billion parameters: 135 TFLOP/s on 256 A100, batch 1024,
# tensor-parallel 8. Microbatch: BigScience's copy of the table.
SC21 = {
    "id": "sc21_18b",
    "year": "2021",
    "gpu": "A100-SXM4-80GB",
    "n_gpus": "256",
    "gpus_per_node": "8",
    "network": "8x200Gb HDR IB per node",
    "model": "GPT-18.4B",
    "layers": "40",
    "hidden": "6144",
    "ffn_hidden": "24576",
    "heads": "48",
    "kv_heads": "48",
    "head_dim": "128",
    "vocab": "51200",
    "seq_len": "2048",
    "attn_type": "MHA",
    "gated_mlp": "no",
    "tied_embeddings": "yes",
    "tp": "8",
    "pp": "1",
    "vpp": "1",
    "dp": "32",
    "cp": "1",
    "ep": "1",
    "sequence_parallel": "no",
    "zero_stage": "0",
    "micro_batch": "8",
    "global_batch": "1024",
    "recompute": "full",
    "precision": "fp16",
    "flash_attention": "no",
    "framework": "Megatron-LM",
    "tflops_per_gpu": "135",
    "tflops_kind": "hardware",
    "tflops_formula": "96*B*s*l*h^2*(1+s/(6h)+V/(16*l*h)) incl. full activation recompute (hardware FLOPs)",
}


@pytest.fixture
def make_row():
    """The SC21 row with some cells changed; an empty text blanks a cell."""

    def make(**cells: str) -> Row:
        values = SC21 | cells
        return Row(id=values["id"], cells=values)

    return make


@pytest.fixture
def make_table():
    """CSV text of SC21 rows with some cells changed, one mapping per row."""
    import csv
    import io

    def make(*rows: dict[str, str]) -> str:
        whole = [SC21 | row for row in rows]
        names = list(dict.fromkeys(name for row in whole for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, names, restval="")
        writer.writeheader()
        writer.writerows(whole)
        return out.getvalue()

    return make
