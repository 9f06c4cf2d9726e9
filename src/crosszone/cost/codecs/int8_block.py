"""One byte an element with one scale for each block, added in fp32."""

from crosszone.cost.codecs.content import Content, Encoded, quantized

NAME = "int8_block"
PARAMETER = None
STREAMS = ("gradients", "activations", "pseudogradients")
IS_SUMMABLE = True
NUM_ROUNDS = 1
EFFECT = (
    "rounds to 8 bits of each block's range: INTELLECT-1 (10B, 1T tokens) exchanged pseudogradients so without a "
    "visible change of the loss; gradients of every step were studied less"
)
SOURCE = "Jaghouar et al. 2024 (INTELLECT-1, arXiv 2412.01152), sec. 2; blocks: Dettmers et al. 2022 (arXiv 2110.02861)"


def encoded(content: Content, parameter: int | None) -> Encoded:
    """1 byte an element and a scale for each block."""
    return quantized(content, 1.0)
