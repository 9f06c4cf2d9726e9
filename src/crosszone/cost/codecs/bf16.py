"""Two bytes with the range of fp32 and 8 bits of precision."""

from crosszone.cost.codecs.content import Content, Encoded, cast

NAME = "bf16"
PARAMETER = None
STREAMS = ("gradients", "activations", "pseudogradients")
IS_SUMMABLE = True
NUM_ROUNDS = 1
EFFECT = "rounds to 8 bits: training with gradients reduced in bf16 followed the loss of fp32 within noise"
SOURCE = "Kalamkar et al. 2019 (arXiv 1905.12322), sec. 4; torch bf16_compress_hook"


def encoded(content: Content, parameter: int | None) -> Encoded:
    """2 bytes an element."""
    return cast(content, 2.0)
