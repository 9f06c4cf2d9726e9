"""Every template is one of a sentence that the program can still say, and its twin says the same."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import crosszone
from crosszone.words.dictionary import FOLDER, table

SOURCE = Path(crosszone.__file__).parent
LANGUAGES = sorted(folder.name for folder in FOLDER.iterdir() if any(folder.glob("*.toml")))
SLOT = re.compile(r"\{(\w+)(?::\w+)?\}")
PARTS = ("sentences", "words")


def templates(language):
    return [template for part in PARTS for template in table(language, part).templates]


@pytest.fixture(scope="module")
def written() -> str:
    """All texts that the program is made of."""
    data = [path for suffix in ("toml", "csv", "yaml") for path in SOURCE.rglob(f"*.{suffix}")]
    found = [path.read_text(encoding="utf-8") for path in data if FOLDER not in path.parents]
    for path in SOURCE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(found).lower().replace("_", " ")


def test_there_is_a_language():
    assert LANGUAGES == ["zh"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", PARTS)
def test_no_text_has_two_twins(language, part):
    areas = [tomllib.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / language).glob("*.toml")]
    counts = Counter(english for area in areas for english in area.get(part, {}))
    assert not [english for english, count in counts.items() if count > 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_twins_have_the_same_slots(language):
    differing = [
        template.english for template in templates(language) if set(template.kinds) != set(SLOT.findall(template.other))
    ]
    assert not differing


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_says_something_itself(language):
    """A slot and a point alone would be a twin of anything."""
    vague = [each.english for each in table(language, "sentences").templates if each.num_own_characters < 2]
    assert not vague


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_is_dead(language, written):
    """Half of the longest text of each between its slots stands in some text of the program."""
    dead = [template.english for template in templates(language) if not is_written(template.english, written)]
    assert not dead


def is_written(english, written):
    """Texts are put together of parts, of which the program has each."""
    words = max(
        (piece.lower().replace("_", " ").split() for piece in re.split(r"[.,:;()\0]", SLOT.sub("\0", english))), key=len
    )
    size = (len(words) + 1) // 2
    return any(" ".join(words[start : start + size]) in written for start in range(len(words) - size + 1))
