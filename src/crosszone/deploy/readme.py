"""README.md and README.zh.md of a bundle: what runs where, and what it rests on."""

from collections.abc import Sequence
from types import ModuleType

from crosszone.core.bundle import NO_CHECKPOINTS, Launch
from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction
from crosszone.deploy.checked_text import shown
from crosszone.deploy.entry import ENTRY_PATH
from crosszone.deploy.pieces import is_piece, piece_text
from crosszone.deploy.scripts import agent_path
from crosszone.units import format_bytes, format_seconds

LEGACY = ("horovod",)
"""Frameworks whose last release lies years back."""
WORDS = {
    "en": {
        "title": "Training with {framework} over {backend}",
        "legacy": "{framework} (legacy)",
        "what": "{world} ranks on {nodes} node(s) in {zones} zone(s). Predicted: {step} a step, {memory} of GPU memory "
        "at the fullest rank.",
        "run": "Run",
        "python": "Every node needs Python 3.11 or newer with what `requirements.txt` lists, or the image of the "
        "`Containerfile`. `PYTHON=/path/to/python` before a command names the interpreter.",
        "setup": "Outside that image, once on every node, in this folder: {programs}",
        "where": "What runs where",
        "head": "| launch file | zone | node group | node | address | GPUs | ranks |",
        "ports": "The node of rank 0 listens on TCP port {port}. Beyond it NCCL and Gloo join every pair of nodes on "
        "ports that the kernel gives out (net.ipv4.ip_local_port_range): let nodes reach each other on all of them.",
        "waits": "How long each layer waits",
        "meet": "until all ranks have met",
        "first": "the first step",
        "collective": "one collective operation",
        "step": "one step",
        "watchdog": "between steps, and while a checkpoint is saved",
        "saves": "Ranks that are asked to end (SIGTERM) finish their step and save. Started again, a run goes on from "
        "its last checkpoint.",
        "resumes": "Ranks that are stopped do not save: started again, a run goes on from the last checkpoint that was "
        "due.",
        "starts_over": "Nothing is saved: started again, a run begins anew.",
        "own": "What is saved, and whether a run that is started again goes on from there, is up to your program.",
        "assumed": "Assumed",
        "warnings": "Warnings",
        "files": "`metadata.json` has the job, the plan, the prediction, and the hash of every file.",
    },
    "zh": {
        "title": "用 {framework} 训练,通过 {backend} 启动",
        "legacy": "{framework}(遗留)",
        "what": "共 {world} 个 rank,{nodes} 个节点,{zones} 个 zone。预测:每步 {step},最满的 rank 占用显存 {memory}。",
        "run": "运行",
        "python": "每个节点需要 Python 3.11 或更新版本,并安装 `requirements.txt` 所列软件,或使用 `Containerfile` "
        "构建的镜像。在命令前加 `PYTHON=/path/to/python` 可指定解释器。",
        "setup": "不使用该镜像时,在每个节点上于本目录运行一次:{programs}",
        "where": "何处运行什么",
        "head": "| 启动文件 | zone | 节点组 | 节点 | 地址 | GPU | rank |",
        "ports": "rank 0 所在节点监听 TCP 端口 {port}。此外 NCCL 与 Gloo 会在每对节点之间使用内核分配的端口"
        "(net.ipv4.ip_local_port_range):请让节点之间可以互相访问这些端口。",
        "waits": "各层的等待时限",
        "meet": "全部 rank 会合",
        "first": "第一步",
        "collective": "一次集合通信",
        "step": "一步",
        "watchdog": "步与步之间,以及保存检查点期间",
        "saves": "被要求退出(SIGTERM)的 rank 会完成当前步并保存。再次启动时,训练从最近的检查点继续。",
        "resumes": "被停止的 rank 不会保存:再次启动时,训练从最近一次定期保存的检查点继续。",
        "starts_over": "不保存任何内容:再次启动时,训练从头开始。",
        "own": "保存什么,以及再次启动时是否从保存处继续,取决于您自己的程序。",
        "assumed": "假设",
        "warnings": "警告",
        "files": "`metadata.json` 含任务、计划、预测以及每个文件的哈希值。",
    },
}


def readme_text(
    language: str,
    *,
    launch: Launch,
    plan: Plan,
    prediction: Prediction,
    backend: ModuleType,
    assumed: Sequence[str],
    warnings: Sequence[str],
) -> str:
    """The README in `language`, en or zh. Assumptions and warnings are English in both."""
    words = WORDS[language]
    what = words["what"].format(
        world=launch.world_size,
        nodes=launch.num_nodes,
        zones=len(plan.zones),
        step=format_seconds(prediction.step_seconds),
        memory=format_bytes(prediction.memory.peak_bytes),
    )
    sections = [
        f"# {words['title'].format(framework=_title(plan.framework, words), backend=backend.TITLE)}",
        what,
        *([piece_text(launch, language)] if is_piece(launch) else []),
        f"## {words['run']}",
        "\n".join(f"{number}. {step}" for number, step in enumerate(_steps(backend, launch, language), start=1)),
        words["python"],
        *([words["setup"].format(programs=", ".join(f"`./{path}`" for path in launch.setup))] if launch.setup else []),
        words[_resuming(launch)],
        f"## {words['where']}",
        _table(launch, words["head"]),
        *([words["ports"].format(port=launch.port)] if launch.num_nodes > 1 else []),
        f"## {words['waits']}",
        _waits(launch, words),
        *_list(words["assumed"], assumed),
        *_list(words["warnings"], warnings),
        words["files"],
    ]
    return "\n\n".join(sections) + "\n"


def _steps(backend: ModuleType, launch: Launch, language: str) -> tuple[str, ...]:
    """What to do, and what more for a piece."""
    more = getattr(backend, "PIECE_STEPS", {}) if is_piece(launch) else {}
    return (*backend.STEPS[language], *more.get(language, ()))


def _title(framework: str, words: dict[str, str]) -> str:
    return words["legacy"].format(framework=framework) if framework in LEGACY else framework


def _resuming(launch: Launch) -> str:
    """The key of what a stopped run leaves behind."""
    if launch.argv[0] == ENTRY_PATH:
        return "own"
    if launch.checkpoint_folder == NO_CHECKPOINTS:
        return "starts_over"
    return "saves" if launch.saves_when_stopped else "resumes"


def _table(launch: Launch, head: str) -> str:
    rows = [head, "|" + "---|" * 7]
    for agent in launch.started:
        gpus = ", ".join(str(gpu) for gpu in agent.gpus) if launch.device == "cuda" else "CPU"
        cells = (
            f"`{agent_path(agent)}`" if len(launch.agents) > 1 else "",
            shown(agent.zone),
            agent.node_group,
            agent.node,
            agent.address or "",
            gpus,
            agent.ranks_text,
        )
        rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(rows)


def _waits(launch: Launch, words: dict[str, str]) -> str:
    limits = launch.timeouts
    rows = (
        (words["meet"], limits.rendezvous_seconds),
        (words["first"], limits.first_step_seconds),
        (words["collective"], limits.collective_seconds),
        (words["step"], limits.step_deadline_seconds),
        (words["watchdog"], limits.watchdog_seconds),
    )
    return "\n".join(f"- {what}: {format_seconds(seconds)}" for what, seconds in rows)


def _list(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {shown(line)}" for line in lines)] if lines else []
