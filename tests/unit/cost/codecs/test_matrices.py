"""A model's matrices hold nearly all its parameters."""

import pytest

from crosszone.catalog.models import model
from crosszone.cost.codecs.matrices import model_matrices
from crosszone.cost.parameters import num_parameters


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "llama-2-7b", "gpt3-175b", "mixtral-8x7b", "deepseek-v3", "bert-large", "opt-350m"]
)
def test_what_is_no_matrix_is_little(name: str) -> None:
    shape = model(name)
    inside = sum(rows * columns * count for rows, columns, count in model_matrices(shape))
    assert inside == pytest.approx(num_parameters(shape), rel=0.02)
    assert inside <= num_parameters(shape) * 1.001


def test_llama_by_hand() -> None:
    """32 layers: q and output 4096^2, k and v 4096 x 1024, three of 4096 x 14336; two tables of 128256 rows."""
    assert sorted(model_matrices(model("llama-3.1-8b"))) == [
        (4096.0, 1024.0, 64.0),
        (4096.0, 4096.0, 64.0),
        (4096.0, 14336.0, 96.0),
        (4096.0, 128256.0, 2.0),
    ]
