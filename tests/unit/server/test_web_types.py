"""The types of the web user interface are those of the API as it is."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[3] / "web"


@pytest.mark.generated
def test_the_types_of_the_api_are_up_to_date():
    made = runpy.run_path(str(WEB / "generate_api.py"))
    with made["TARGET"].open(encoding="utf-8") as file:
        assert file.readline().rstrip() == made["first_line"](made["document"]()), "run: python web/generate_api.py"
