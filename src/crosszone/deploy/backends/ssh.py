"""Nodes that are reached by ssh: copied to, started apart from the connection, followed, stopped.

A lost connection touches no healthy run: ranks run in a session of their own, and what is not seen is not dead. What
belongs to a run on a node is known by a variable in its environment, since torchrun starts every rank in a session of
its own (torch 2.13, distributed/elastic/multiprocessing/subprocess_handler), and since the number of a process that
ended may be another's by now.
"""

from __future__ import annotations

from collections.abc import Iterator

from crosszone.core.bundle import HOROVODRUN, TORCHRUN, Launch
from crosszone.deploy.checked_text import command
from crosszone.deploy.horovodrun import horovodrun_problems, starters
from crosszone.deploy.scripts import STRICT, agent_path, agent_text, script
from crosszone.errors import Finding

TITLE = "ssh"
LAUNCHERS = (TORCHRUN, HOROVODRUN)
ADDRESSES_FROM = 1
RUN_PATH, STOP_PATH, STATUS_PATH, FETCH_PATH = (
    "run_training.sh", "stop_training.sh", "status_training.sh", "fetch_logs.sh",
)  # fmt: skip
DETACH_PATH, END_PATH, STATE_PATH = "launch/detach.sh", "launch/end.sh", "launch/state.sh"
NODES_PATH, PROCESSES_PATH = "launch/nodes.sh", "launch/processes.sh"
END_SECONDS = 15
"""Beyond the time that torchrun gives its ranks to end, until all are ended by force."""
STEPS = {
    "en": (
        "On a machine with keys for all nodes, whose host keys it knows, in this folder: "
        f"`./{RUN_PATH}`. It copies the folder to every node, starts all, and follows them.",
        f"Ctrl-C stops following, not the run: `./{RUN_PATH} --follow` goes on, `./{STOP_PATH}` stops the run.",
        f"`./{STATUS_PATH}` says what runs on which node, `./{FETCH_PATH}` brings the nodes' logs here.",
        "`SSH_USER=name` logs in as another user, `SSH_CONFIG=/absolute/path` takes ports, keys and more from a file "
        "as ssh_config(5) has it.",
    ),
    "zh": (
        f"在持有各节点密钥且已知其主机密钥的机器上,于本目录运行:`./{RUN_PATH}`。它将目录复制到每个节点,全部启动并持续跟踪。",
        f"Ctrl-C 只停止跟踪,不停止训练:`./{RUN_PATH} --follow` 继续跟踪,`./{STOP_PATH}` 停止训练。",
        f"`./{STATUS_PATH}` 显示各节点的运行状态,`./{FETCH_PATH}` 将各节点的日志取回本机。",
        "`SSH_USER=name` 以其他用户登录;`SSH_CONFIG=/绝对路径` 从 ssh_config(5) 格式的文件读取端口、密钥等。",
    ),
}

PROCESSES_LINES = (
    "# shellcheck shell=bash",
    "# Ids of all processes of $1: what detach.sh started, and what that started in turn, in whatever session.",
    "marked() {",
    '    grep -lzxF -- "CROSSZONE_AGENT=$PWD/$1" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3 || true',
    "}",
)
ON_NODE = (
    *STRICT,
    'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
    f"# shellcheck source={PROCESSES_PATH}",
    f"source ./{PROCESSES_PATH}",
)
STATE_LINES = (
    "# Says how $1 stands on this node: runs, its exit code, gone (it ended without a word) or never.",
    *ON_NODE,
    'if [ -n "$(marked "$1")" ]; then echo runs',
    'elif [ -e "logs/$1.code" ]; then cat "logs/$1.code"',
    'elif [ -e "logs/$1.pid" ]; then echo gone',
    "else echo never; fi",
)
REMOTE_LINES = (
    "ssh_options=(-o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15)",
    'if [ -n "${SSH_USER:-}" ]; then ssh_options+=(-l "$SSH_USER"); fi',
    'if [ -n "${SSH_CONFIG:-}" ]; then ssh_options+=(-F "$SSH_CONFIG"); fi',
    "on() {",
    "    # shellcheck disable=SC2029,SC2095  # both sides hold only names that this bundle made",
    '    ssh "${ssh_options[@]}" -- "$1" "$2"',
    "}",
    "state_of() {",
    f'    on "${{addresses[$1]}}" "if [ -e $folder/{STATE_PATH} ]; then bash $folder/{STATE_PATH} ${{names[$1]}};'
    ' else echo never; fi" \\',
    "        </dev/null || echo unseen",
    "}",
)
COPY_AND_START_LINES = (
    'if [ "${1:-}" != --follow ]; then',
    "    # Nothing is copied under ranks that run, nor to some nodes only.",
    "    num_bad=0",
    '    for index in "${!addresses[@]}"; do',
    '        case "$(state_of "$index")" in',
    '            runs) echo "error: ${names[index]} on ${addresses[index]} runs already: --follow follows it,'
    f' ./{STOP_PATH} stops it." >&2 ;;',
    '            unseen) echo "error: cannot reach ${addresses[index]} by ssh." >&2 ;;',
    "            *) continue ;;",
    "        esac",
    "        num_bad=$((num_bad + 1))",
    "    done",
    '    if [ "$num_bad" != 0 ]; then exit 4; fi',
    "    mkdir -p logs",
    '    echo "$folder" >logs/job-id',
    '    for address in $(printf "%s\\n" "${copied[@]}" | sort -u); do',
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
    '        state="$(state_of "$index")"',
    '        case "$state" in',
    "            0) ;;",
    "            runs) num_left=$((num_left + 1)) ;;",
    "            unseen)",
    '                echo "cannot see ${addresses[index]}; its ranks may run on" >&2',
    "                num_left=$((num_left + 1))",
    "                ;;",
    "            *)",
    '                echo "error: ${names[index]} on ${addresses[index]} ended with $state; its last lines:" >&2',
    '                on "${addresses[index]}" "tail -n 20 $folder/logs/${names[index]}.log" </dev/null >&2 || true',
    f"                ./{STOP_PATH}",
    "                exit 1",
    "                ;;",
    "        esac",
    "    done",
    '    if [ "$num_left" = 0 ]; then echo "all ended well"; exit 0; fi',
    '    sleep "${FOLLOW_SECONDS:-10}"',
    "done",
)
STOP_LINES = (
    "num_missed=0",
    'for index in "${!addresses[@]}"; do',
    '    echo "stopping ${names[index]} on ${addresses[index]}"',
    '    if ! on "${addresses[index]}" "bash $folder/launch/end.sh ${names[index]}" </dev/null; then',
    '        echo "error: cannot stop ${names[index]} on ${addresses[index]}" >&2',
    "        num_missed=$((num_missed + 1))",
    "    fi",
    "done",
    '[ "$num_missed" = 0 ]',
)
STATUS_LINES = (
    'for index in "${!addresses[@]}"; do',
    '    echo "${names[index]} ${addresses[index]} $(state_of "$index")"',
    "done",
)
FETCH_LINES = (
    "num_missed=0",
    'for index in "${!addresses[@]}"; do',
    '    part="logs/.${names[index]}.part"',
    '    rm -rf "$part"',
    '    mkdir -p "$part"',
    "    # tar ends with 1 where a file grew while it was read.",
    '    if on "${addresses[index]}" \\',
    '        "mkdir -p $folder/logs && { tar -C $folder/logs -cf - . 2>/dev/null || [ \\$? = 1 ]; }" </dev/null |',
    '        tar -C "$part" -xf -; then',
    "        (cd \"$part\" && find . -type d -exec mkdir -p '../{}' ';' -o -type f -exec mv -f '{}' '../{}' ';')",
    "    else",
    '        echo "error: cannot fetch the logs of ${addresses[index]}" >&2',
    "        num_missed=$((num_missed + 1))",
    "    fi",
    '    rm -rf "$part"',
    "done",
    '[ "$num_missed" = 0 ]',
)


def problems(launch: Launch) -> Iterator[Finding]:
    """Every launch can be started so; of Horovod's, what one command can say."""
    return horovodrun_problems(launch)


def render(launch: Launch) -> dict[str, str]:
    """The nodes' programs, and those that copy, start, follow and stop them."""
    agents = {agent_path(agent): agent_text(launch, agent) for agent in starters(launch)}
    here = (
        *STRICT,
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
        f"# shellcheck source={NODES_PATH}",
        f"source ./{NODES_PATH}",
    )
    return {
        **agents,
        NODES_PATH: _nodes(launch),
        PROCESSES_PATH: "\n".join(PROCESSES_LINES) + "\n",
        DETACH_PATH: script(*_detach_lines(launch)),
        STATE_PATH: script(*STATE_LINES),
        END_PATH: script(*_end_lines(launch)),
        RUN_PATH: script(
            "# Copies this folder to every node, starts all ranks, and follows them.",
            *here,
            *COPY_AND_START_LINES,
            *FOLLOW_LINES,
        ),
        STOP_PATH: script("# Ends the ranks of every node.", *here, *STOP_LINES),
        STATUS_PATH: script("# Says how every node stands: its name, its address, its state.", *here, *STATUS_LINES),
        FETCH_PATH: script("# Brings the logs of every node here.", *here, *FETCH_LINES),
    }


def _detach_lines(launch: Launch) -> tuple[str, ...]:
    """Of the program that starts a node's ranks."""
    return (
        "# Starts the program $1 in a session of its own; output, process id and exit code are in logs/$2.*",
        *ON_NODE,
        "mkdir -p logs",
        'if [ -n "$(marked "$2")" ]; then',
        '    echo "error: $2 runs already." >&2',
        "    exit 1",
        "fi",
        'rm -f "logs/$2.code"',
        'export CROSSZONE_AGENT="$PWD/$2"',
        "# Options of torchrun: what each rank says goes into a file of its own, and on.",
        'export PET_LOG_DIR="$PWD/logs/$2" PET_TEE=3',
        "# shellcheck disable=SC2016  # expanded by torchrun",
        "export TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE='[rank ${rank}] '",
        "# shellcheck disable=SC2016  # expanded by the inner shell",
        'setsid nohup bash -c \'code=0; bash "$1" || code=$?; echo "$code" >"logs/$2.code"\' detached "$1" "$2" \\',
        '    >"logs/$2.log" 2>&1 </dev/null &',
        'echo "$!" >"logs/$2.pid"',
        "# Until it can be seen.",
        'until [ -n "$(marked "$2")" ] || [ -e "logs/$2.code" ]; do sleep 0.1; done',
    )


def _end_lines(launch: Launch) -> tuple[str, ...]:
    """Of the program that ends a node's ranks."""
    return (
        "# Ends what detach.sh started as $1: asks first, then forces.",
        *ON_NODE,
        'pids="$(marked "$1")"',
        'if [ -z "$pids" ]; then exit 0; fi',
        'pid="$(cat "logs/$1.pid")"',
        "# torchrun is asked, and asks its ranks; where it is gone, they are.",
        'if grep -qx -- "$pid" <<<"$pids"; then kill -TERM -- "-$pid" || true',
        'else xargs kill -TERM <<<"$pids" || true; fi',
        f"for _ in $(seq {launch.timeouts.grace_seconds + END_SECONDS}); do",
        '    pids="$(marked "$1")"',
        '    if [ -z "$pids" ]; then break; fi',
        "    sleep 1",
        "done",
        'if [ -n "$pids" ]; then xargs kill -KILL <<<"$pids" || true; fi',
        'if [ ! -e "logs/$1.code" ]; then echo 143 >"logs/$1.code"; fi',
    )


def _nodes(launch: Launch) -> str:
    """Who is where; sourced by the programs that a person starts."""
    lines = [
        "# shellcheck shell=bash disable=SC2034",
        "# The folder on every node (below the home folder), and the nodes with their programs, in the order of ranks.",
        f"folder=crosszone-{launch.identity}",
        f"copied=({command(str(agent.address) for agent in launch.started)})",
        f"addresses=({command(str(agent.address) for agent in starters(launch))})",
        f"names=({command(agent.name for agent in starters(launch))})",
        f"programs=({command(agent_path(agent) for agent in starters(launch))})",
        *REMOTE_LINES,
    ]
    return "\n".join(lines) + "\n"
