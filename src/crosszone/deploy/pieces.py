"""A bundle that starts the ranks of one zone only: what it says of itself and of the others."""

from crosszone.core.bundle import Launch
from crosszone.deploy.checked_text import shown

WORDS = {
    "en": {
        "piece": "This is a piece: it starts {mine} of {world} ranks, those of zone {zone} ({ranks}). The job runs "
        "once the pieces of all zones are started: {others} too, each written with --zone.",
        "first": "Rank 0, where all of them meet, is in {zone}{address}.",
        "join": ", ",
    },
    "zh": {
        "piece": "这是其中一部分:它启动 zone {zone} 的 {mine} 个 rank({ranks}),共 {world} 个。所有 zone 的部分都启动后,"
        "任务才会运行:还有 {others},各由 --zone 生成。",
        "first": "全部 rank 会合之处(rank 0)在 {zone}{address}。",
        "join": "、",
    },
}


def is_piece(launch: Launch) -> bool:
    """Whether other bundles start some of the ranks."""
    return launch.only_zone is not None and launch.started != launch.agents


def piece_text(launch: Launch, language: str = "en") -> str:
    """Of which zone this bundle is a piece, where the other pieces are, and where rank 0 is."""
    words, first = WORDS[language], launch.agents[0]
    others = dict.fromkeys(agent.zone for agent in launch.agents if agent.zone != launch.only_zone)
    piece = words["piece"].format(
        mine=sum(agent.num_ranks for agent in launch.started),
        zone=shown(str(launch.only_zone)),
        ranks=words["join"].join(agent.ranks_text for agent in launch.started),
        world=launch.world_size,
        others=words["join"].join(shown(zone) for zone in others),
    )
    address = f" ({first.address})" if first.address else ""
    return f"{piece} {words['first'].format(zone=shown(first.zone), address=address)}"
