"""User text in files that are run: quoted, or held to a strict pattern; never pasted."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator

from crosszone.core.bundle import DeployRequest, Launch
from crosszone.errors import Finding

ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,45}")
"""A host name or an IP address (RFC 1123, RFC 4291); never an option."""
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
"""As Linux allows it, at most 15 characters, and what no program takes for an option or a pattern."""
IMAGE = re.compile(r"[a-z0-9]([A-Za-z0-9._/:@-]{0,400})")
"""A container image: registry, repository, tag, digest."""

ADDRESS_KIND = "a host name or IP address"
INTERFACE_KIND = "the name of a network device, as eth0: letters, digits, ., _ and -, at most 15"
IMAGE_KIND = "a container image, as docker.io/library/python:3.11"
"""What each is called in a message."""


def command(words: Iterable[str]) -> str:
    """A shell command of these words, each of which reaches the program as it is."""
    return shlex.join(words)


def assignment(name: str, value: str) -> str:
    """A shell line that exports `value`."""
    assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", name), name
    quoted = f"'{value}'" if re.fullmatch(r"=[\w.-]*", value) else shlex.quote(value)  # x==y reads as a comparison
    return f"export {name}={quoted}"


def shown(text: str) -> str:
    """`text` for a document: on one line, without what ends code spans or table cells."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("`", "'").replace("|", "/")


def text_problems(launch: Launch, request: DeployRequest) -> Iterator[Finding]:
    """Everything in a launch and a request that cannot be written into a script or file name."""
    for agent in {agent.node_key: agent for agent in launch.agents}.values():
        place = f"cluster.zones[{agent.zone_index}].nodes[{agent.node_group}].addresses[{agent.node}]"
        yield from _unlike(place, agent.address, ADDRESS, ADDRESS_KIND)
    groups = {(agent.zone_index, agent.node_group): agent for agent in launch.agents}
    for (zone, group), agent in sorted(groups.items()):
        place = f"cluster.zones[{zone}].nodes[{group}]"
        yield from _unlike(f"{place}.interface", agent.interface, INTERFACE, INTERFACE_KIND)
        yield from _unlike(f"{place}.image", agent.image, IMAGE, IMAGE_KIND)
    for index, argument in enumerate(request.entry_arguments):
        if "\0" in argument:
            yield _finding(f"arguments[{index}]", "a NUL cannot be passed to a program.", "Leave it out.")
    for where, path in (("--data", request.data_path), ("--checkpoints", request.checkpoint_folder)):
        if path is not None and "\0" in path:
            yield _finding(where, "a path has no NUL.", "Leave it out.")


def _unlike(where: str, text: str | None, pattern: re.Pattern[str], kind: str) -> Iterator[Finding]:
    if text is not None and not pattern.fullmatch(text):
        yield _finding(where, f"{json.dumps(text)} is not {kind}.", "Write it as the node knows it.")


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="bad_text", where=where, message=message, hint=hint)
