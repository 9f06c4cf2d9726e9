"""The programs around pods: what each pod runs, and what a person runs to create, follow and remove the job."""

from __future__ import annotations

from collections.abc import Iterator

from crosszone.core.bundle import NO_CHECKPOINTS, Launch
from crosszone.deploy.checked_text import command
from crosszone.deploy.gpu_names import kubernetes_products
from crosszone.deploy.installing import PIP_LINES, package_lines, setup_lines
from crosszone.deploy.parts import Part, job_name, parts
from crosszone.deploy.pods import (
    ARCHIVE,
    HOPELESS_CODE,
    JOB_SET,
    PRODUCT_LABEL,
    TRAIN_JOB,
    ZONE_LABEL,
    end_seconds,
    kind_of,
    part_name,
    spans_zones,
)
from crosszone.deploy.scripts import STRICT, script

CLUSTER_PATH, POD_PATH, NODE_PATH = "launch/cluster.sh", "launch/pod.sh", "launch/this_node.py"
MOST_ARCHIVE_BYTES = 1_048_576
"""Of a ConfigMap: Kubernetes documentation, ConfigMaps."""
REMOVAL_SECONDS = 60
"""Beyond the time that pods have to end. Chosen: the cluster's controllers and a busy node take some of it."""

CONTROLLERS = {
    TRAIN_JOB: ("trainer.kubeflow.org", "trainjobs", "Kubeflow Trainer 2", "https://trainer.kubeflow.org"),
    JOB_SET: ("jobset.x-k8s.io", "jobsets", "JobSet", "https://jobset.sigs.k8s.io"),
}
CLUSTER_LINES = (
    "kubectl=(kubectl)",
    'if [ -n "${KUBE_CONTEXT:-}" ]; then kubectl+=("--context=$KUBE_CONTEXT"); fi',
    'if [ -n "${NAMESPACE:-}" ]; then kubectl+=("--namespace=$NAMESPACE"); fi',
    "if ! command -v kubectl >/dev/null; then",
    '    echo "error: kubectl is not installed." >&2',
    "    exit 4",
    "fi",
)
NODES_LINES = (
    "need_nodes() {  # number, selector, ranks on the fullest",
    "    local nodes found",
    '    if ! nodes="$("${kubectl[@]}" get nodes --selector "$2" --output name 2>/dev/null)"; then',
    '        echo "warning: not allowed to list nodes; whether $1 of them match $2 is not known." >&2',
    "        return",
    "    fi",
    '    found="$(grep -c . <<<"$nodes" || true)"',
    '    if [ "$found" -lt "$1" ]; then',
    '        echo "error: the job needs $1 nodes for up to $3 ranks that match $2; the cluster has $found." >&2',
    "        exit 4",
    "    fi",
    "}",
)
CREATE_LINES = (
    'if "${kubectl[@]}" get "$kind" "$name" >/dev/null 2>&1; then',
    '    echo "error: $kind $name is there already: --follow follows it, ./stop_training.sh removes it." >&2',
    "    exit 1",
    "fi",
    'archive="$(mktemp -d)"',
    "trap 'rm -rf \"$archive\"' EXIT",
    f'tar -czf "$archive/{ARCHIVE}" --exclude=./logs --exclude=./checkpoints --exclude=./kubernetes .',
    f'if [ "$(wc -c <"$archive/{ARCHIVE}")" -gt {MOST_ARCHIVE_BYTES} ]; then',
    f'    echo "error: the bundle is larger than the {MOST_ARCHIVE_BYTES} bytes of a ConfigMap." >&2',
    "    exit 1",
    "fi",
    "mkdir -p logs",
    'echo "$kind $name" >logs/job-id',
    '"${kubectl[@]}" create configmap "$name" --from-file="$archive"',
    "create() {  # a controller sees what was just created a moment later: try again",
    "    for _ in 1 2 3 4 5; do",
    '        if "${kubectl[@]}" create --filename "$1"; then return; fi',
    "        sleep 2",
    "    done",
    "    ./stop_training.sh",
    "    exit 1",
    "}",
    'for file in kubernetes/*.yaml; do create "$file"; done',
)
FOLLOW_LINES = (
    'echo "following; Ctrl-C stops following, not the run"',
    'last=""',
    "while true; do",
    "    # The name comes first: what exists says something, also before it has a state.",
    '    if ! state="$("${kubectl[@]}" get "$kind" "$name" --ignore-not-found \\',
    '        --output \'jsonpath={.metadata.name} {.status.conditions[?(@.status=="True")].type}\')"; then',
    '        echo "cannot see $kind $name; the run may go on" >&2',
    '    elif [ -z "$state" ]; then',
    '        echo "error: $kind $name is not there: it was stopped and removed, or never created." >&2',
    "        exit 1",
    "    fi",
    '    line="$("${kubectl[@]}" logs --selector "$first" --tail=1 2>/dev/null || true)"',
    '    if [ -n "$line" ] && [ "$line" != "$last" ]; then echo "$line"; last="$line"; fi',
    '    case " $state " in',
    '        *" Complete "* | *" Completed "*)',
    '            echo "all ended well"',
    "            exit 0",
    "            ;;",
    '        *" Failed "*)',
    '            echo "error: $kind $name failed; the last lines of the pods that did:" >&2',
    '            "${kubectl[@]}" get pods --selector "$all" --field-selector=status.phase=Failed --output name |',
    '                while read -r pod; do "${kubectl[@]}" logs --prefix --tail=20 "$pod"; done >&2',
    "            exit 1",
    "            ;;",
    "    esac",
    '    sleep "${FOLLOW_SECONDS:-10}"',
    "done",
)
THIS_NODE = '''"""Which of the addresses given is this node's: prints its position among them."""

import socket
import sys


def is_ours(address):
    """Whether a socket can be bound to `address`, which only an address of this node allows."""
    try:
        places = socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, place in places:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind(place)
            return True
        except OSError:
            continue
    return False


for index, address in enumerate(sys.argv[1:]):
    if is_ours(address):
        print(index)
        sys.exit(0)
sys.exit(f"error: none of {', '.join(sys.argv[1:])} is an address of this node; the job file names the wrong nodes.")
'''


def run_text(launch: Launch) -> str:
    """The program that creates the job and follows it."""
    return script(
        "# Creates the job in the cluster that kubectl points at, and follows it; --follow only follows.",
        *_in_cluster(),
        'if [ "${1:-}" != --follow ]; then',
        *(f"    {line}" for line in ("need_cluster", *CREATE_LINES)),
        "fi",
        *FOLLOW_LINES,
    )


def stop_text(launch: Launch) -> str:
    """The program that removes the job, and all that was created for it."""
    runtime = ' "trainingruntime/$name"' if kind_of(launch) == TRAIN_JOB else ""
    return script(
        "# Takes the job out of the cluster, with all that was created for it.",
        *_in_cluster(),
        f'"${{kubectl[@]}}" delete --ignore-not-found "$kind/$name" "configmap/$name"{runtime}',
        "# Its pods may live on and save: until they are gone, this folder belongs to them.",
        f"for _ in $(seq {end_seconds(launch) + REMOVAL_SECONDS}); do",
        '    left="$("${kubectl[@]}" get pods --selector "$all" --output name)"',
        '    if [ -z "$left" ]; then rm -f logs/job-id; exit 0; fi',
        "    sleep 1",
        "done",
        'echo "error: they do not end: $(tr "\\n" " " <<<"$left"). Run this again, or look why." >&2',
        "exit 1",
    )


def pod_text(launch: Launch) -> str:
    """The program of every pod: installs what is missing, finds its place, and starts its ranks."""
    checkpoints = launch.checkpoint_folder
    logs = command([f"{checkpoints}/logs"])
    place = (
        ('place="$JOB_COMPLETION_INDEX"',)
        if launch.only_zone is None
        else (f'place="$(python3 {NODE_PATH} "${{@:2}}")" || exit 4',)
    )
    return script(
        "# Starts the ranks of one pod: its place among the pods of its part, from the part's first agent ($1) on.",
        *STRICT,
        f"trap 'exit 1' ERR  # what fails here may do next time; {HOPELESS_CODE} is said of ranks alone",
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."',
        *package_lines(launch.packages),
        *PIP_LINES,
        *setup_lines(launch.setup),
        *([f"mkdir -p {logs}", f"ln -sfn {logs} logs"] if checkpoints not in (None, NO_CHECKPOINTS) else []),
        *place,
        'exec bash launch/zone-*/agent-"$(($1 + place))".sh',
    )


def cluster_text(launch: Launch) -> str:
    """What the programs that a person starts know of the cluster and the job; sourced by them."""
    name, kind = job_name(launch), kind_of(launch)
    group, resources, title, url = CONTROLLERS[kind]
    own = parts(launch, launch.started)
    first = (
        f"app.kubernetes.io/instance={name},jobset.sigs.k8s.io/replicatedjob-name={part_name(launch, own[0])},"
        "batch.kubernetes.io/job-completion-index=0"
    )
    lines = [
        "# shellcheck shell=bash disable=SC2034",
        "# The job, and the cluster that it runs in; sourced by the programs that a person starts.",
        f"kind={kind}",
        f"name={command([name])}",
        f"all={command([f'app.kubernetes.io/instance={name}'])}",
        f"first={command([first])}",
        *CLUSTER_LINES,
        *NODES_LINES,
        "need_cluster() {",
        "    local served",
        f'    served="$("${{kubectl[@]}}" api-resources --api-group={group} --output name)"',
        f'    if ! grep -q "^{resources}\\." <<<"$served"; then',
        f'        echo "error: the cluster has no {title}, which runs this job: {url}" >&2',
        "        exit 4",
        "    fi",
        *(f"    need_nodes {command(words)}" for words in _needed_nodes(launch, own)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _needed_nodes(launch: Launch, own: tuple[Part, ...]) -> Iterator[tuple[str, str, str]]:
    """(number of nodes, label selector, GPUs on the fullest) for every kind of node."""
    kinds: dict[str, list[Part]] = {}
    for part in own:
        terms = [f"{ZONE_LABEL}={part.zone.name}"] if spans_zones(launch) else []
        if launch.device == "cuda":
            terms.append(f"{PRODUCT_LABEL} in ({','.join(kubernetes_products(part.group.gpu))})")
        if terms:
            kinds.setdefault(",".join(terms), []).append(part)
    for selector, alike in kinds.items():
        num_nodes = sum(len(part.agents) for part in alike) if launch.device == "cuda" else 1
        yield str(num_nodes), selector, str(max(part.num_ranks for part in alike))


def _in_cluster() -> tuple[str, ...]:
    here = 'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"'
    return *STRICT, here, f"# shellcheck source={CLUSTER_PATH}", f"source ./{CLUSTER_PATH}"
