"""Nodes that are reached by ssh: copied to, started apart from the connection, followed, stopped.

A lost connection touches no healthy run: ranks run in a session of their own, and what is not seen is not dead.
"""

from __future__ import annotations

from collections.abc import Iterator

from crosszone.core.bundle import Launch
from crosszone.core.codec import fingerprint
from crosszone.deploy.checked_text import command
from crosszone.deploy.scripts import STRICT, agent_path, agent_text, script
from crosszone.errors import Finding

TITLE = "ssh"
ADDRESSES_FROM = 1
RUN_PATH, STOP_PATH = "run_training.sh", "stop_training.sh"
DETACH_PATH, END_PATH, NODES_PATH = "launch/detach.sh", "launch/end.sh", "launch/nodes.sh"
STEPS = {
    "en": (
        "On a machine with keys for all nodes, whose host keys it knows, in this folder: "
        f"`./{RUN_PATH}`. It copies the folder to every node, starts all, and follows them.",
        f"Ctrl-C stops following, not the run: `./{RUN_PATH} --follow` goes on, `./{STOP_PATH}` stops the run.",
        "`SSH_USER=name` logs in as another user.",
    ),
    "zh": (
        f"在持有各节点密钥且已知其主机密钥的机器上,于本目录运行:`./{RUN_PATH}`。它将目录复制到每个节点,全部启动并持续跟踪。",
        f"Ctrl-C 只停止跟踪,不停止训练:`./{RUN_PATH} --follow` 继续跟踪,`./{STOP_PATH}` 停止训练。",
        "`SSH_USER=name` 以其他用户登录。",
    ),
}

DETACH_LINES = (
    "# Starts the program $1 in a session of its own; output, process id and exit code are in logs/$2.*",
    *STRICT,
    'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
    "mkdir -p logs",
    'if [ -e "logs/$2.pid" ] && [ ! -e "logs/$2.code" ] && kill -0 "$(cat "logs/$2.pid")" 2>/dev/null; then',
    '    echo "error: $2 runs already." >&2',
    "    exit 1",
    "fi",
    'rm -f "logs/$2.code"',
    "# shellcheck disable=SC2016  # expanded by the inner shell",
    'setsid nohup bash -c \'code=0; bash "$1" || code=$?; echo "$code" >"logs/$2.code"\' detached "$1" "$2" \\',
    '    >"logs/$2.log" 2>&1 </dev/null &',
    'echo "$!" >"logs/$2.pid"',
)
END_LINES = (
    "# Ends what detach.sh started as $1: asks first, then forces.",
    *STRICT,
    'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
    'if [ ! -e "logs/$1.pid" ] || [ -e "logs/$1.code" ]; then exit 0; fi',
    'pid="$(cat "logs/$1.pid")"',
    'kill -TERM -- "-$pid" 2>/dev/null || exit 0',
    "for _ in $(seq 30); do",
    '    kill -0 -- "-$pid" 2>/dev/null || exit 0',
    "    sleep 1",
    "done",
    'kill -KILL -- "-$pid" 2>/dev/null || true',
)
REMOTE_LINES = (
    "ssh_options=(-o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15)",
    'if [ -n "${SSH_USER:-}" ]; then ssh_options+=(-l "$SSH_USER"); fi',
    "on() {",
    "    # shellcheck disable=SC2029,SC2095  # both sides hold only names that this bundle made",
    '    ssh "${ssh_options[@]}" -- "$1" "$2"',
    "}",
)
COPY_AND_START_LINES = (
    'if [ "${1:-}" != --follow ]; then',
    '    for address in $(printf "%s\\n" "${addresses[@]}" | sort -u); do',
    '        echo "copying to $address"',
    "        tar -cf - --exclude=./logs --exclude=./checkpoints . | \\",
    '            on "$address" "mkdir -p $folder && tar -C $folder -xf -"',
    "    done",
    '    for index in "${!addresses[@]}"; do',
    '        echo "starting ${names[index]} on ${addresses[index]}"',
    '        on "${addresses[index]}" "bash $folder/launch/detach.sh ${programs[index]} ${names[index]}" </dev/null',
    "    done",
    "fi",
)
FOLLOW_LINES = (
    'echo "following; Ctrl-C stops following, not the run"',
    "while true; do",
    "    num_left=0",
    '    for index in "${!addresses[@]}"; do',
    '        if ! code="$(on "${addresses[index]}" "cat $folder/logs/${names[index]}.code 2>/dev/null || echo runs" \\',
    '            </dev/null)"; then',
    '            echo "cannot see ${addresses[index]}; its ranks may run on" >&2',
    "            num_left=$((num_left + 1))",
    '        elif [ "$code" = runs ]; then',
    "            num_left=$((num_left + 1))",
    '        elif [ "$code" != 0 ]; then',
    '            echo "error: ${names[index]} on ${addresses[index]} ended with $code; its last lines:" >&2',
    '            on "${addresses[index]}" "tail -n 20 $folder/logs/${names[index]}.log" </dev/null >&2',
    "            ./stop_training.sh",
    "            exit 1",
    "        fi",
    "    done",
    '    if [ "$num_left" = 0 ]; then echo "all ended well"; exit 0; fi',
    '    sleep "${FOLLOW_SECONDS:-10}"',
    "done",
)


def problems(launch: Launch) -> Iterator[Finding]:
    """Every launch can be started so."""
    return iter(())


def render(launch: Launch) -> dict[str, str]:
    """The nodes' programs, and those that copy, start, follow and stop them."""
    agents = {agent_path(agent): agent_text(launch, agent) for agent in launch.started}
    here = (*STRICT, 'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"', f"# shellcheck source={NODES_PATH}")
    return {
        **agents,
        NODES_PATH: _nodes(launch),
        DETACH_PATH: script(*DETACH_LINES),
        END_PATH: script(*END_LINES),
        RUN_PATH: script(
            "# Copies this folder to every node, starts all ranks, and follows them.",
            *here,
            f"source ./{NODES_PATH}",
            *COPY_AND_START_LINES,
            *FOLLOW_LINES,
        ),
        STOP_PATH: script(
            "# Ends the ranks of every node.",
            *here,
            f"source ./{NODES_PATH}",
            'for index in "${!addresses[@]}"; do',
            '    echo "stopping ${names[index]} on ${addresses[index]}"',
            '    on "${addresses[index]}" "bash $folder/launch/end.sh ${names[index]}" </dev/null ||',
            '        echo "cannot stop ${names[index]} on ${addresses[index]}" >&2',
            "done",
        ),
    }


def _nodes(launch: Launch) -> str:
    """Who is where; sourced by the programs that a person starts."""
    lines = [
        "# shellcheck shell=bash disable=SC2034",
        "# The folder on every node (below the home folder), and the nodes with their programs, in the order of ranks.",
        f"folder=crosszone-{fingerprint(launch)}",
        f"addresses=({command(str(agent.address) for agent in launch.started)})",
        f"names=({command(agent.name for agent in launch.started)})",
        f"programs=({command(agent_path(agent) for agent in launch.started)})",
        *REMOTE_LINES,
    ]
    return "\n".join(lines) + "\n"
