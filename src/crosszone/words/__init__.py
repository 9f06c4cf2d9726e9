"""Sentences of answers in another language: twins of what the packages below write, found by their English.

Nothing that writes a sentence knows of it. `LANGUAGE/AREA.toml` holds English templates beside their translation; the
values of an English sentence are carried over. What has no twin stays as it is, whole.
"""

from crosszone.words.answers import translated
from crosszone.words.dictionary import sentence

__all__ = ["sentence", "translated"]
