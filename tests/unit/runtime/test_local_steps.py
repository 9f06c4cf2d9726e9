"""Zones of two and three ranks that step by themselves train what the algorithm says, written again in one process.

Tolerance: losses agree to 1e-4 relative, as fp32 sums are added up in another order; a resumed run to the last bit.
"""

import datetime
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import set_forkserver_preload
from pathlib import Path

import pytest

from crosszone.core.train import TrainCheckpoint, TrainConfig, TrainLocal, TrainOptimizer, TrainOwn, learning_rate
from tiny_training import tiny_training

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import distributed, multiprocessing, nn  # noqa: E402 - needs torch

from crosszone.runtime import train as module  # noqa: E402 - needs torch
from crosszone.runtime.data import microbatch, open_samples, rank_positions  # noqa: E402 - needs torch
from crosszone.runtime.leaving import leave  # noqa: E402 - needs torch
from crosszone.runtime.model import build_model, initialise  # noqa: E402 - needs torch
from crosszone.runtime.native import parameter_groups, token_loss  # noqa: E402 - needs torch
from crosszone.runtime.sync.local import due_fragments, fragments  # noqa: E402 - needs torch
from crosszone.runtime.sync.packing import MOST, packed, unpacked  # noqa: E402 - needs torch

ZONES = ((0, 1), (2, 3, 4))
RELATIVE = 1e-4
DILOCO = TrainLocal(every=2, outer_learning_rate=0.7, outer_momentum=0.9)
STREAMED = replace(DILOCO, every=4, num_fragments=2, num_delay_steps=1, own_fraction=0.5)
CONFIG = tiny_training(
    num_steps=6,
    rank_microbatches=(2, 2, 1, 1, 1),
    rank_zones=(0, 0, 1, 1, 1),
    microbatch_size=1,
    local=DILOCO,
    optimizer=TrainOptimizer(learning_rate=1e-2, max_gradient_norm=0.5),
    checkpoint=TrainCheckpoint(folder="checkpoints", every_steps=4, num_kept=9),
    identity_every_steps=1,
)
PLAIN = TrainOwn(microbatch_size=1, dp_shard=2, shard="parameters", recompute="none")
SHARED = {"framework": "fsdp", "shard": "parameters", "own": (PLAIN, replace(PLAIN, dp_shard=3))}
OTHERWISE = {
    "framework": "fsdp",
    "shard": "parameters",
    "rank_microbatches": (1, 1, 1, 1, 1),
    "own": (replace(PLAIN, microbatch_size=2, shard="gradients"), replace(PLAIN, dp_shard=3, recompute="full")),
}
"""The same sequences of the same ranks."""
RUNS = {
    "mean": replace(CONFIG, local=TrainLocal(every=3), checkpoint=None),
    "diloco": replace(CONFIG, **SHARED),
    "diloco, int8": replace(CONFIG, zone_codec="int8_block", checkpoint=None),
    "streamed": replace(CONFIG, local=STREAMED, **OTHERWISE),
}
RESUMED_STEP = 4
"""One part of Streaming DiLoCo is on its way."""
STOPPED_STEP = 2
LIMIT = datetime.timedelta(seconds=60)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What all runs left; one start of five processes serves them."""
    found = tmp_path_factory.mktemp("runs")
    set_forkserver_preload(["crosszone.runtime.native", "crosszone.runtime.train", "transformers.models.llama"])
    multiprocessing.start_processes(
        _rank, (found, free_port()), nprocs=len(CONFIG.rank_zones), start_method="forkserver"
    )
    return found


def _rank(rank: int, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank)}
    os.environ.update(where | {"WORLD_SIZE": str(len(CONFIG.rank_zones)), "LOCAL_RANK": str(rank)})
    distributed.init_process_group("gloo", timeout=LIMIT)
    for name, config in RUNS.items():
        assert module.train(config, folder=folder / name)
        if config.checkpoint is not None:
            again = folder / f"{name}, resumed"
            if rank == 0:
                saved = f"checkpoints/step-{RESUMED_STEP:08d}"
                shutil.copytree(folder / name / saved, again / saved)
            distributed.barrier()
            assert module.train(config, folder=again)
    stopped = folder / "diloco, stopped"
    original = module.microbatch
    if rank == 4:
        module.microbatch = asking_to_stop
    assert not module.train(RUNS["diloco"], folder=stopped)
    module.microbatch = original
    assert module.train(RUNS["diloco"], folder=stopped)
    leave()


def asking_to_stop(*arguments, **keywords):  # type: ignore[no-untyped-def]
    os.kill(os.getpid(), signal.SIGTERM)
    return microbatch(*arguments, **keywords)


def rows(folder: Path, rank: int, event: str) -> list[dict]:
    found = [json.loads(line) for line in (folder / f"logs/rank-{rank}.jsonl").read_text().splitlines()]
    return [row for row in found if row["event"] == event]


def losses(folder: Path, rank: int) -> list[float]:
    return [row["loss"] for row in rows(folder, rank, "step")]


def models(config: TrainConfig) -> list[nn.Module]:
    """One for each zone, with the same weights."""
    found = []
    for _ in ZONES:
        found.append(build_model(config.model, None, attention="flash", recompute="none"))
        initialise(found[-1], seed=config.seed, device=torch.device("cpu"))
    return found


def local_updates(config: TrainConfig) -> Iterator[list[float]]:
    """The loss of each zone in each step: the algorithm in one process, parameter by parameter."""
    how, zones = config.local, models(config)
    assert how is not None
    samples = open_samples(
        config.data, folder=Path(), sequence_length=config.sequence_length, vocab_size=32, seed=config.seed
    )
    weights = [dict(model.named_parameters()) for model in zones]
    inner = [torch.optim.AdamW(parameter_groups(model, config.optimizer), betas=(0.9, 0.95)) for model in zones]
    agreed = {name: each.detach().clone() for name, each in weights[0].items()}
    momentum = {name: torch.zeros_like(each) for name, each in agreed.items()}
    counts = [sum(config.rank_microbatches[rank] for rank in ranks) for ranks in ZONES]
    on_the_way: list[tuple[int, str, torch.Tensor]] = []

    def begin(done: int, part: int | None) -> None:
        for name in agreed:
            layer = 1 if "layers.1." in name or "model.norm" in name or "lm_head" in name else 0
            if part is None or how.num_fragments == 1 or layer == part:
                change = sum(
                    count / sum(counts) * (agreed[name] - own[name].detach())
                    for count, own in zip(counts, weights, strict=True)
                )
                on_the_way.append((done, name, change))

    def arrive(done: int, *, is_last: bool) -> None:
        for started, name, change in list(on_the_way):
            if is_last or started + how.num_delay_steps <= done:
                momentum[name] = how.outer_momentum * momentum[name] + change
                step = change + how.outer_momentum * momentum[name]
                agreed[name] = agreed[name] - how.outer_learning_rate * step
                stays = how.own_fraction if done > started else 0.0
                for own in weights:
                    own[name].data = stays * own[name].data + (1.0 - stays) * agreed[name]
        on_the_way[:] = [each for each in on_the_way if not is_last and each[0] + how.num_delay_steps > done]

    for step in range(config.num_steps):
        found, done, is_last = [], step + 1, step + 1 == config.num_steps
        for model, optimizer, ranks, count in zip(zones, inner, ZONES, counts, strict=True):
            tokens, total = count * config.microbatch_size * config.sequence_length, 0.0
            for rank in ranks:
                for part in rank_positions(
                    step, rank_sequences=config.rank_microbatches, rank=rank, microbatch_size=config.microbatch_size
                ):
                    inputs, labels = microbatch(samples, part, seed=config.seed)
                    loss = token_loss(model(input_ids=inputs).logits, labels)
                    (loss / tokens).backward()
                    total += float(loss.detach())
            nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_gradient_norm)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config.optimizer, step)
            optimizer.step()
            optimizer.zero_grad()
            found.append(total / tokens)
        arrive(done, is_last=is_last)
        starts = {0: None} if how.num_fragments == 1 else {how.every // 2: 0, 0: 1}
        if is_last or done % how.every in starts:
            begin(done, None if is_last else starts[done % how.every])
        arrive(done, is_last=is_last)
        yield found


@pytest.fixture(scope="module")
def expected() -> dict[TrainLocal, list[list[float]]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {local: list(local_updates(replace(CONFIG, local=local))) for local in {r.local for r in RUNS.values()}}
    torch.set_num_threads(before)
    return found


@pytest.mark.parametrize("name", [name for name, config in RUNS.items() if config.zone_codec is None])
def test_zones_train_what_the_algorithm_says(name, folder, expected) -> None:
    steps = expected[RUNS[name].local]
    for zone, ranks in enumerate(ZONES):
        for rank in ranks:
            assert losses(folder / name, rank) == pytest.approx([each[zone] for each in steps], rel=RELATIVE)
    assert losses(folder / name, 0)[-1] < losses(folder / name, 0)[0]


def test_zones_differ_between_exchanges_and_tell_the_loss_of_all_at_each(folder) -> None:
    here, there = (losses(folder / "diloco", rank) for rank in (0, 4))
    told = rows(folder / "diloco", 3, "exchange")
    assert [row["step"] for row in told] == [2, 4, 6]
    for row in told:
        steps = range(row["step"] - 2, row["step"])
        both = sum(4 * here[step] + 3 * there[step] for step in steps) / 14
        assert row["loss"] == pytest.approx(both, rel=1e-6)
    waits = [row["exchange_seconds"] > 0.0 for row in rows(folder / "diloco", 0, "step")]
    assert waits[1::2] == [True] * 3


def test_packed_changes_train_nearly_the_same(folder) -> None:
    # That zones hold the same bits after each exchange, the runs themselves checked.
    plain, narrow = (losses(folder / name, 0) for name in ("diloco", "diloco, int8"))
    assert narrow[:2] == plain[:2]
    assert narrow[2:] != plain[2:]
    assert narrow == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize("name", [name for name, config in RUNS.items() if config.checkpoint is not None])
def test_a_resumed_run_is_the_whole_run_to_the_last_bit(name, folder) -> None:
    for rank in (0, 4):
        assert losses(folder / f"{name}, resumed", rank) == losses(folder / name, rank)[RESUMED_STEP:]


def test_a_signal_to_one_rank_ends_all_zones_at_the_next_exchange(folder) -> None:
    for rank in (0, 4):
        again = folder / "diloco, stopped"
        assert [row["step"] for row in rows(again, rank, "stopped")] == [STOPPED_STEP]
        assert losses(again, rank) == losses(folder / "diloco", rank)


@pytest.mark.parametrize("codec", sorted(MOST))
def test_what_is_packed_is_within_half_a_step_of_its_block(codec) -> None:
    values = torch.randn(4 * 256, generator=torch.Generator().manual_seed(0))
    values[256:512] = 0.0
    message = packed(values, codec)
    assert message.shape == (4, 256 * (8 if codec == "int8_block" else 4) // 8 + 4)
    step = values.view(4, 256).abs().amax(dim=1, keepdim=True) / MOST[codec]
    error = (unpacked(message, codec) - values).view(4, 256).abs()
    assert (error <= 0.5001 * step).all()


def test_parts_leave_in_even_shares_of_a_round() -> None:
    def due(every: int, parts: int) -> list[list[int]]:
        return [due_fragments(step, every=every, num_fragments=parts) for step in range(1, every + 1)]

    assert due(4, 2) == [[], [0], [], [1]]
    assert due(3, 1) == [[], [], [0]]
    assert due(2, 3) == [[0, 1], [2]]
    assert due_fragments(8, every=4, num_fragments=2) == [1]


def test_every_parameter_is_in_one_part() -> None:
    (model, _) = models(CONFIG)
    first, second = fragments(model, 2)
    assert sorted(first + second) == sorted(name for name, _ in model.named_parameters())
    assert any("embed_tokens" in name for name in first)
    assert any("lm_head" in name for name in second)
