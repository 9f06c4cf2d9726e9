"""Where the virtual stages of a pipeline lie, in order of a microbatch's way through the model: positions 0 .. pv - 1.

`loop`: each round of p goes up the ranks, and from the last around to the first. `v`: every second round goes down
them, and the last rank turns in place. `both_ways`: two models, positions 0 .. p - 1 up and p .. 2p - 1 down the ranks,
without a way from one to the other.
"""


def rank_of(position: int, num_stages: int, placement: str) -> int:
    """The rank that holds a position."""
    chunk, index = divmod(position, num_stages)
    return num_stages - 1 - index if placement != "loop" and chunk % 2 else index


def position_of(rank: int, virtual_stage: int, num_stages: int, placement: str) -> int:
    """The position of a rank's virtual stage."""
    turned = placement != "loop" and virtual_stage % 2 == 1
    return virtual_stage * num_stages + (num_stages - 1 - rank if turned else rank)
