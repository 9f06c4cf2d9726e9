"""What a browser loads is small: all scripts together, and what the first page needs."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import crosszone

BUILT = Path(crosszone.__file__).parent / "server/web"
MOST_BYTES = 500_000
MOST_FIRST_BYTES = 250_000


def packed_bytes(paths):
    return sum(len(gzip.compress(path.read_bytes())) for path in paths)


def test_all_scripts_together_stay_small():
    scripts = list((BUILT / "assets").glob("*.js"))
    assert scripts, "the user interface is not built: make web"
    assert packed_bytes(scripts) <= MOST_BYTES


def test_the_first_page_waits_for_little():
    named = re.findall(r'"/(assets/[^"]+\.js)"', (BUILT / "index.html").read_text(encoding="utf-8"))
    assert named
    assert packed_bytes(BUILT / name for name in named) <= MOST_FIRST_BYTES
