"""The programs around rented nodes: what each node runs, and what a person runs to rent, follow and give back."""

from __future__ import annotations

import math

from crosszone.core.bundle import Launch
from crosszone.deploy.checked_text import command, shown
from crosszone.deploy.gpu_names import skypilot_accelerator
from crosszone.deploy.installing import PIP_LINES, package_lines, setup_lines
from crosszone.deploy.parts import Part
from crosszone.deploy.rented import (
    IDLE_SECONDS,
    MASTER_VARIABLE,
    VERSION,
    cluster_name,
    infra,
    provider_and_region,
    rented_parts,
)
from crosszone.deploy.scripts import STRICT, script
from crosszone.units import SECONDS_PER_HOUR

CLUSTERS_PATH, SETUP_PATH, NODE_PATH = "launch/clusters.sh", "launch/setup.sh", "launch/node.sh"
PYTHON = "$HOME/crosszone-python"
ADDRESS_MARK = "crosszone-address:"
SECONDS_PER_TRY = 5
JOIN = "On GCP all regions are one network of SkyPilot's. Elsewhere, join the networks of these nodes, as by peering."
"""sky/provision/gcp makes one VPC with a subnet in each region; sky/provision/aws takes the default VPC of a region."""

SKY_LINES = (
    "if ! command -v sky >/dev/null; then",
    f'    echo "error: sky is not installed: pip install skypilot=={VERSION}" >&2',
    "    exit 4",
    "fi",
)
ARGUMENT_LINES = (
    "is_agreed=no",
    "is_new=yes",
    'for word in "$@"; do',
    '    case "$word" in',
    "        --yes) is_agreed=yes ;;",
    "        --follow) is_new=no ;;",
    '        *) echo "error: $word is neither --yes nor --follow." >&2; exit 2 ;;',
    "    esac",
    "done",
)
AGREE_LINES = (
    "agree() {",
    '    if [ "$is_agreed" = yes ]; then return; fi',
    "    if [ ! -t 0 ]; then",
    '        echo "error: this costs money, and there is no terminal to ask: give --yes." >&2',
    "        exit 2",
    "    fi",
    '    read -r -p "Type rent to go on: " answer',
    '    if [ "$answer" != rent ]; then echo "nothing was rented"; exit 2; fi',
    "}",
    "give_up() {",
    '    echo "error: $1 What was rented is given back." >&2',
    "    ./stop_training.sh",
    "    exit 1",
    "}",
)
RENT_LINES = (
    "mkdir -p logs",
    'echo "${names[*]}" >logs/job-id',
    'for index in "${!names[@]}"; do',
    '    sky launch --yes --detach-run --cluster "${names[index]}" "${tasks[index]}" </dev/null ||',
    '        give_up "${names[index]} could not be rented."',
    "done",
)
START_LINES = (
    f'address="$(sky logs "${{names[0]}}" </dev/null | sed -n \'s/.*{ADDRESS_MARK} \\([0-9A-Fa-f.:]*\\).*/\\1/p\' |',
    '    tail -n 1)" || true',
    'if [ -z "$address" ]; then give_up "${names[0]} does not tell its address."; fi',
    'echo "ranks meet at $address"',
    'for index in "${!names[@]}"; do',
    f'    sky exec --detach-run --env "{MASTER_VARIABLE}=$address" \\',
    '        "${names[index]}" "${tasks[index]}" </dev/null ||',
    '        give_up "${names[index]} could not be started."',
    "done",
)
FOLLOW_LINES = (
    "fetch_logs() {",
    '    for index in "${!names[@]}"; do',
    '        for node in $(seq 0 "$((counts[index] - 1))"); do',
    '            host="${names[index]}"',
    '            if [ "$node" != 0 ]; then host="$host-worker$node"; fi',
    '            mkdir -p "logs/$host"',
    '            rsync -az "$host:sky_workdir/logs/" "logs/$host/" </dev/null ||',
    '                echo "cannot fetch the logs of $host" >&2',
    "        done",
    "    done",
    "}",
    'echo "following; Ctrl-C stops following, not the run"',
    "while true; do",
    "    if [ ! -e logs/job-id ]; then",
    '        echo "error: nothing is rented from here: the nodes were given back, or never asked for" >&2',
    "        exit 1",
    "    fi",
    "    num_left=0",
    '    for index in "${!names[@]}"; do',
    "        code=0",
    '        sky logs --status "${names[index]}" >/dev/null 2>&1 </dev/null || code=$?',
    '        case "$code" in',
    "            0) ;;",
    "            100 | 103)",
    '                echo "error: ${names[index]} failed; its last lines:" >&2',
    '                sky logs --no-follow --tail 20 "${names[index]}" </dev/null >&2 || true',
    '                for name in "${names[@]}"; do sky cancel --yes --all "$name" </dev/null || true; done',
    "                fetch_logs",
    '                echo "the nodes cost money until ./stop_training.sh, or until they were idle for $idle" >&2',
    "                exit 1",
    "                ;;",
    "            101) num_left=$((num_left + 1)) ;;",
    "            *)",
    '                echo "cannot see ${names[index]}; its ranks may run on" >&2',
    "                num_left=$((num_left + 1))",
    "                ;;",
    "        esac",
    "    done",
    '    if [ "$num_left" = 0 ]; then',
    "        fetch_logs",
    '        echo "all ended well; the nodes cost money until ./stop_training.sh, or until they were idle for $idle"',
    "        exit 0",
    "    fi",
    '    sleep "${FOLLOW_SECONDS:-30}"',
    "done",
)


def run_text(launch: Launch) -> str:
    """The program that asks, rents, starts and follows."""
    spans = len(rented_parts(launch)) > 1
    begin = ("show_cost", "agree", *RENT_LINES, *(START_LINES if spans else ()))
    return script(
        "# Rents the nodes, starts all ranks, and follows them. --yes: without asking; --follow: only follow.",
        *_here(),
        *ARGUMENT_LINES,
        *AGREE_LINES,
        'if [ "$is_new" = yes ]; then',
        *(f"    {line}" for line in begin),
        "fi",
        *FOLLOW_LINES,
    )


def stop_text() -> str:
    """The program that gives all nodes back."""
    return script(
        "# Gives the nodes back, with all that is on them. Their cost ends with it.",
        *_here(),
        "code=0",
        'for name in "${names[@]}"; do',
        '    if ! sky down --yes "$name" </dev/null; then',
        '        echo "error: cannot give $name back, which goes on costing money: see sky status." >&2',
        "        code=1",
        "    fi",
        "done",
        'if [ "$code" = 0 ]; then rm -f logs/job-id; fi',
        'exit "$code"',
    )


def clusters_text(launch: Launch) -> str:
    """What those programs know of the parts, and what they cost; sourced by them."""
    own = rented_parts(launch)
    lines = [
        "# shellcheck shell=bash disable=SC2034",
        "# The SkyPilot clusters of the job, in the order of their ranks; sourced by what a person starts.",
        f"names=({command(cluster_name(launch, part) for part in own)})",
        f"tasks=({command(task_path(part) for part in own)})",
        f"counts=({command(str(len(part.agents)) for part in own)})",
        f"idle={command([f'{IDLE_SECONDS // 60} minutes'])}",
        "show_cost() {",
        "    cat <<'END'",
        *(_rent(launch, part) for part in own),
        _cost(own),
        "END",
        "}",
        *SKY_LINES,
    ]
    return "\n".join(lines) + "\n"


def task_path(part: Part) -> str:
    """Of the task of a part."""
    return f"skypilot/part-{part.index}.yaml"


def setup_text(launch: Launch) -> str:
    """What every node runs once: packages, and a Python with what the ranks need, or the image's own."""
    return script(
        "# Installs what the ranks need; SkyPilot runs it once on every node. $1: image where one is named.",
        *STRICT,
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
        *package_lines(("iproute2", *launch.packages)),
        'if [ "${1:-}" = image ]; then',
        *(f"    {line}" for line in PIP_LINES),
        "else",
        '    export PATH="$HOME/.local/bin:$PATH"  # where SkyPilot puts uv',
        f'    uv venv --quiet --seed --allow-existing --python 3.11 "{PYTHON}"',
        f'    uv pip install --quiet --python "{PYTHON}/bin/python" --requirement requirements.txt',
        f'    export PYTHON="{PYTHON}/bin/python"',
        "fi",
        *setup_lines(launch.setup),
    )


def node_text(launch: Launch) -> str:
    """What every node runs: it finds its place, the address where ranks meet and its network device."""
    return script(
        "# Starts the ranks of one node: its place among the nodes of its part, from the part's first agent ($1) on.",
        *STRICT,
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
        *(_meet(launch) if len(launch.agents) > 1 else ()),
        f'if [ -x "{PYTHON}/bin/python" ]; then export PYTHON="{PYTHON}/bin/python"; fi',
        'exec bash launch/zone-*/agent-"$(($1 + SKYPILOT_NODE_RANK))".sh',
    )


def _meet(launch: Launch) -> tuple[str, ...]:
    spans = len(rented_parts(launch)) > 1
    at_head = 'head_address="$(sed -n 1p <<<"$SKYPILOT_NODE_IPS")"'
    address = _wait(launch) if spans else (at_head, f'export {MASTER_VARIABLE}="$head_address"')
    return (
        "# SkyPilot lists the nodes of a part with their private addresses, the head node first.",
        'own_address="$(sed -n "$((SKYPILOT_NODE_RANK + 1))p" <<<"$SKYPILOT_NODE_IPS")"',
        *address,
        'interface="$(ip -o addr show to "$own_address" | awk \'NR == 1 { print $2 }\')"',
        'if [ -z "$interface" ]; then',
        '    echo "error: no network device of this node has its address $own_address." >&2',
        "    exit 4",
        "fi",
        "export NCCL_SOCKET_IFNAME=\"=$interface\"  # '=': exactly this name",
        'export GLOO_SOCKET_IFNAME="$interface"',
    )


def _wait(launch: Launch) -> tuple[str, ...]:
    """Over several parts the address comes with the second start; it must be in reach before torchrun waits for it."""
    num_tries = math.ceil(launch.timeouts.rendezvous_seconds / SECONDS_PER_TRY)
    return (
        f'if [ -z "${{{MASTER_VARIABLE}:-}}" ]; then',
        f'    if [ "$SKYPILOT_NODE_RANK" = 0 ]; then echo "{ADDRESS_MARK} $own_address"; fi',
        "    exit 0  # rented and ready; started again once the address of rank 0 is known",
        "fi",
        "reaches() {",
        f'    timeout {SECONDS_PER_TRY} bash -c "exec 3<>/dev/tcp/${MASTER_VARIABLE}/{launch.port}" 2>/dev/null',
        "}",
        f'if [ "${MASTER_VARIABLE}" != "$own_address" ]; then',
        f"    for _ in $(seq {num_tries}); do",
        "        if reaches; then break; fi",
        f"        sleep {SECONDS_PER_TRY}",
        "    done",
        "    if ! reaches; then",
        f'        echo "error: $own_address cannot reach ${MASTER_VARIABLE}, port {launch.port}." >&2',
        f'        echo "{JOIN}" >&2',
        "        exit 4",
        "    fi",
        "fi",
    )


def _rent(launch: Launch, part: Part) -> str:
    """One line of what is rented."""
    group = part.group
    count = len(part.agents)
    accelerator = skypilot_accelerator(group.gpu, provider_and_region(part)[0])
    what = f"{group.gpus_per_node} x {accelerator}" if launch.device == "cuda" else "CPUs"
    kind = ", preemptible" if group.is_preemptible else ""
    return shown(f"rents {count} node(s) with {what} at {infra(part)}{kind}")


def _cost(own: tuple[Part, ...]) -> str:
    prices = [
        None
        if part.group.dollars_per_gpu_second is None
        else part.group.dollars_per_gpu_second * part.group.gpus_per_node * len(part.agents)
        for part in own
    ]
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return "What that costs is not known: the job file has no price. SkyPilot shows it before it rents."
    dollars = sum(known) * SECONDS_PER_HOUR
    return f"About {dollars:.2f} USD an hour by the prices of the job, until the nodes are given back."


def _here() -> tuple[str, ...]:
    here = 'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"'
    return *STRICT, here, f"# shellcheck source={CLUSTERS_PATH}", f"source ./{CLUSTERS_PATH}"
