"""Sums once per zone: processes that meet over gloo, in even and uneven zones, end with the flat sum and equal bits."""

import datetime
import os
import socket
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import distributed, multiprocessing, nn  # noqa: E402 - needs torch
from torch.nn.parallel import DistributedDataParallel  # noqa: E402 - needs torch

from crosszone.runtime.leaving import leave  # noqa: E402 - needs torch
from crosszone.runtime.sync.hierarchical import add_up, zone_groups, zone_sum  # noqa: E402 - needs torch

LIMIT = datetime.timedelta(seconds=60)
HALF_ULP = 2.0**-24
"""Relative error of one fp32 addition (IEEE 754, round to nearest)."""
SIZE = 1009
"""Odd, so that no number of carriers divides it."""
NUM_PROCESSES = 4
NARROW = {"bf16": 0.02, "int8_block": 0.04, "int4": 0.6}
"""Formats between zones, and half a step of normal values in each: of the largest of a block, 4.5 at most here."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, list[dict]]:
    """What each rank of each case ends with; one start of processes serves all cases."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(_rank, (folder, [free_port() for _ in CASES]), nprocs=NUM_PROCESSES)
    return {
        name: [torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in range(len(zones))]
        for name, (_, zones) in CASES.items()
    }


def _rank(rank: int, folder: Path, ports: list[int]) -> None:
    for port, (name, (program, zones)) in zip(ports, CASES.items(), strict=True):
        if rank >= len(zones):
            continue
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(len(zones))}
        os.environ.update(where)
        distributed.init_process_group("gloo", timeout=LIMIT)
        torch.save(program(rank, zones), folder / f"{name}-{rank}.pt")
        leave()


def drawn(rank: int) -> torch.Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(rank))


def sums(rank: int, zones: tuple[int, ...]) -> dict[str, torch.Tensor]:
    groups = zone_groups(zones, limit=LIMIT)
    whole = torch.randint(-1000, 1000, (SIZE,), generator=torch.Generator().manual_seed(rank)).float()
    exact, flat = add_up(whole.clone(), groups, codec=None), whole.clone()
    distributed.all_reduce(flat)
    rounded = add_up(drawn(rank), groups, codec=None)
    narrow = {codec: add_up(drawn(rank), groups, codec=codec) for codec in NARROW}
    return {"exact": exact, "flat": flat, "rounded": rounded, **narrow}


def steps(rank: int, zones: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Gradients of two microbatches of a model of several buckets: DDP's own, and once per zone."""
    found = {}
    for name in ("flat", "zones"):
        torch.manual_seed(0)
        model = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)))
        module = DistributedDataParallel(model, bucket_cap_mb=0.02)
        if name == "zones":
            groups, fp32 = zone_groups(zones, limit=LIMIT), torch.float32
            hook = zone_sum(groups, dtype=fp32, codec=None, num_ranks=len(zones))
            module.register_comm_hook(None, hook)
        torch.manual_seed(1 + rank)
        for _ in range(2):  # the first step lays buckets out anew
            module.zero_grad()
            with module.no_sync():
                module(torch.randn(3, 64)).square().sum().backward()
            module(torch.randn(3, 64)).square().sum().backward()
        found[name] = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    return found


def fails(rank: int, zones: tuple[int, ...]) -> dict[str, str]:
    groups, fp32 = zone_groups(zones, limit=LIMIT), torch.float32
    module = DistributedDataParallel(nn.Linear(8, 8))
    module.register_comm_hook(None, zone_sum(groups, dtype=fp32, codec="by_post", num_ranks=len(zones)))
    try:
        module(torch.ones(1, 8)).sum().backward()
    except (KeyError, RuntimeError) as error:
        return {"error": str(error)}
    return {}


SUMS = {"even": (0, 0, 1, 1), "uneven": (0, 0, 1), "torn": (0, 1, 0, 1), "led": (0, 0, 0, 1), "three": (0, 1, 2)}
STEPS = {"steps": (0, 0, 1, 1), "uneven-steps": (0, 0, 1)}
CASES = {
    **{name: (sums, zones) for name, zones in SUMS.items()},
    **{name: (steps, zones) for name, zones in STEPS.items()},
    "fails": (fails, (0, 1)),
}
"""What is run, and the zone of each rank."""


@pytest.mark.parametrize("name", SUMS)
def test_ranks_end_with_the_flat_sum_and_the_same_bits(name, results) -> None:
    found = results[name]
    drawn_by_all = torch.stack([drawn(rank) for rank in range(len(found))]).double()
    true = drawn_by_all.sum(0)
    for each in found:
        assert torch.equal(each["exact"], each["flat"])  # whole numbers below 2^24: no order of additions rounds
        assert torch.equal(each["rounded"], found[0]["rounded"])
        assert all(torch.equal(each[codec], found[0][codec]) for codec in NARROW)
    # Any order of n - 1 additions is within (n-1) u sum |x| of the sum (Higham 2002, sec. 4.2).
    most = (len(found) - 1) * HALF_ULP * drawn_by_all.abs().sum(0)
    assert ((found[0]["rounded"].double() - true).abs() <= most).all()
    for codec, step in NARROW.items():
        assert not torch.equal(found[0][codec], found[0]["rounded"])
        assert torch.allclose(found[0][codec], true.float(), rtol=2.0**-7, atol=(1 + len(found)) * step)


@pytest.mark.parametrize("name", STEPS)
def test_ddp_averages_as_it_does_by_itself(name, results) -> None:
    for each in results[name]:
        assert torch.equal(each["zones"], results[name][0]["zones"])
        assert torch.allclose(each["zones"], each["flat"], rtol=1e-5, atol=1e-5 * float(each["flat"].abs().max()))


def test_what_fails_beside_the_backward_is_raised_by_it(results) -> None:
    assert all("by_post" in each["error"] for each in results["fails"])
