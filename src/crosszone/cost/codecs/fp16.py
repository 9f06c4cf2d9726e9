"""Two bytes with 11 bits of precision and a narrow range."""

from crosszone.cost.codecs.content import Content, Encoded, cast

NAME = "fp16"
PARAMETER = None
STREAMS = ("gradients", "activations", "pseudogradients")
IS_SUMMABLE = True
NUM_ROUNDS = 1
EFFECT = "rounds to 11 bits; gradients below 6e-8 vanish unless the loss is scaled, with which accuracy was kept"
SOURCE = "Micikevicius et al. 2018 (arXiv 1710.03740), sec. 3.2 and 4; torch fp16_compress_hook"


def encoded(content: Content, parameter: int | None) -> Encoded:
    """2 bytes an element."""
    return cast(content, 2.0)
