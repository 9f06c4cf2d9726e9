"""As it is."""

from crosszone.cost.codecs.content import Content, Encoded, cast

NAME = "none"
PARAMETER = None
STREAMS = ("gradients", "activations", "pseudogradients")
IS_SUMMABLE = True
NUM_ROUNDS = 1
EFFECT = "none"
SOURCE = "definition"


def encoded(content: Content, parameter: int | None) -> Encoded:
    """The stream in its own format."""
    return cast(content, content.element_bytes)
