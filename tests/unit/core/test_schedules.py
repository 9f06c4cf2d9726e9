"""Orders that papers draw, written out."""

import pytest

from crosszone.core.schedules import schedule
from crosszone.core.schedules.action import Action, backward, forward


def drawn(actions: tuple[Action, ...]) -> str:
    """F0 B0 ... with one letter more for the virtual stage (a, b, ...), as figures label their boxes."""
    several = any(action.virtual_stage for action in actions)
    return " ".join(
        f"{'F' if one.is_forward else 'B'}{one.microbatch}{'ab'[one.virtual_stage] if several else ''}"
        for one in actions
    )


def test_gpipe_does_all_forwards_first() -> None:
    for stage in range(4):
        assert drawn(schedule("gpipe").order(stage, 4, 3)) == "F0 F1 F2 B0 B1 B2"


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (0, "F0 F1 F2 F3 B0 F4 B1 F5 B2 B3 B4 B5"),
        (1, "F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 B4 B5"),
        (3, "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5"),
    ],
)
def test_1f1b_as_in_figure_4_of_narayanan_2021(stage: int, expected: str) -> None:
    assert drawn(schedule("1f1b").order(stage, 4, 6)) == expected


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (0, "F0a F1a F0b F1b F2a B0b F3a B1b F2b B0a F3b B1a B2b B3b B2a B3a"),
        (1, "F0a F1a F0b B0b F1b B1b F2a B0a F3a B1a F2b B2b F3b B3b B2a B3a"),
    ],
)
def test_interleaved_1f1b_of_two_ranks_with_two_virtual_stages(stage: int, expected: str) -> None:
    # Warm-up 2(p-1-stage) + (v-1)p: four forwards on the first rank, two on the second; then one forward, one backward.
    assert drawn(schedule("interleaved_1f1b").order(stage, 2, 4, 2)) == expected


def test_interleaving_refuses_part_of_a_round() -> None:
    with pytest.raises(AssertionError, match="multiple"):
        schedule("interleaved_1f1b").order(0, 4, 6, 2)


def test_1f1b_holds_p_minus_stage_microbatches_and_gpipe_all() -> None:
    assert schedule("1f1b").in_flight([0, 1, 2, 3], 4, 32, 1).tolist() == [4, 3, 2, 1]
    assert schedule("1f1b").in_flight([0, 3], 4, 2, 1).tolist() == [2, 1]
    assert schedule("gpipe").in_flight([0, 3], 4, 32, 1).tolist() == [32, 32]


def test_interleaving_holds_more_than_1f1b_by_what_the_paper_says() -> None:
    # Narayanan et al. 2021, sec. 2.2.2: the first rank of p = 4, v = 2 holds 2*3 + 4 + 1 = 11 chunks of half a stage.
    assert float(schedule("interleaved_1f1b").in_flight(0, 4, 32, 2)) == 11 / 2
    # Korthikanti et al. 2022, sec. 4.2.3: the first stage needs 1 + (p-1)/(p v) times the activations of 1F1B.
    assert 11 / 2 / 4 == 1 + 3 / 8


def test_actions_are_forward_and_backward_of_one_chunk() -> None:
    assert forward(3, 1) == Action("forward", 3, 1)
    assert backward(3) == Action("backward", 3, 0)
