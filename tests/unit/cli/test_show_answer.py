"""What the screen leaves out of a plan's answer where it is unknown."""

from typing import Any

import pytest

from crosszone.core.answer import Answer


def test_an_unknown_scaling_is_left_out(run: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answer, "scaling_ratio", property(lambda _: None))
    text = " ".join(run("plan", "job.yaml").out.split())
    assert "The first plan uses 8 of 16 GPUs. " in text
    assert "linear scaling" not in text
