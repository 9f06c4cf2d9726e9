"""YAML that every reader reads alike: what YAML 1.1 takes for a number, a date or a truth value stands in quotes.

Programs read our files with YAML 1.1 (kubectl and SkyPilot: `no` is false there) and with 1.2 (ruamel.yaml).
"""

import io
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

WORDS = frozenset("y n yes no on off true false null".split())
"""YAML 1.1, types bool and null, in lower case: https://yaml.org/type/bool.html."""
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
"""Text that no version of YAML takes for anything else, save `WORDS`."""


class _Representer(SafeRepresenter):
    def represent_str(self, data: str) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=_style(data))


_Representer.add_representer(str, _Representer.represent_str)


def yaml_text(*documents: Any) -> str:
    """`documents` of dicts, lists, text, numbers, truth values and None, as YAML in ASCII."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    writer.allow_unicode = False
    writer.width = 4096
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    writer.dump_all(_copies(documents), stream)
    return stream.getvalue()


def _style(text: str) -> str | None:
    if "\n" in text and _is_block(text):
        return "|"
    return None if PLAIN.fullmatch(text) and text.lower() not in WORDS else '"'


def _is_block(text: str) -> bool:
    """Whether a literal block holds `text` as it is, in ASCII."""
    lines = text.split("\n")
    is_plain = all(line.isascii() and line.isprintable() and line == line.rstrip() for line in lines)
    return is_plain and not text.startswith((" ", "\n"))


def _copies(value: Any) -> Any:
    """`value` without an object twice, which YAML would write as an alias."""
    if isinstance(value, dict):
        return {key: _copies(item) for key, item in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [_copies(item) for item in value]
