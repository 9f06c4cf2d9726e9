from dataclasses import replace
from pathlib import Path

from crosszone.core.problem import Problem
from crosszone.core.workload import Dataset
from crosszone.frameworks import framework_facts
from crosszone.planner.layouts import layouts
from crosszone.planner.symmetry import distinct
from crosszone.spec import read_job_text
from crosszone.timeline.inputs import inputs


def problem(*rtts: str, counts: tuple[int, ...] = (2, 2, 2)) -> Problem:
    """Three zones; round trips of a-b, a-c and b-c."""
    zones = "\n".join(
        f"    - {{name: {name}, nodes: [{{count: {count}, gpu: a100-sxm4-80gb, gpus_per_node: 8, network: 9 Gbit/s}}]}}"
        for name, count in zip("abc", counts, strict=True)
    )
    links = "\n".join(
        f"    - {{between: [{pair[0]}, {pair[1]}], bandwidth: 10 Gbit/s, rtt: {rtt}}}"
        for pair, rtt in zip(("ab", "ac", "bc"), rtts, strict=True)
    )
    text = "model: llama-3-8b\nworkload: {sequence_length: 2048, global_batch_size: 64, precision: bf16}\n"
    return read_job_text(f"{text}cluster:\n  zones:\n{zones}\n  links:\n{links}\n", Path())


def num_distinct(of: Problem) -> int:
    prepared = inputs(of, (framework_facts("megatron"),))
    return len(distinct(prepared, layouts(prepared)))


def test_equal_zones_count_once() -> None:
    # One zone; two and three as replicas; two and three as one pipeline.
    assert num_distinct(problem("10 ms", "10 ms", "10 ms")) == 5


def test_a_farther_zone_makes_other_pairs() -> None:
    equal, farther = problem("10 ms", "10 ms", "10 ms"), problem("10 ms", "30 ms", "30 ms")
    assert num_distinct(farther) > num_distinct(equal)


def test_zones_of_other_sizes_are_not_alike() -> None:
    uneven = problem("10 ms", "10 ms", "10 ms", counts=(1, 2, 3))
    prepared = inputs(uneven, (framework_facts("megatron"),))
    assert num_distinct(uneven) == len(layouts(prepared))


def test_the_first_of_alike_layouts_stays() -> None:
    prepared = inputs(problem("10 ms", "10 ms", "10 ms"), (framework_facts("megatron"),))
    assert distinct(prepared, layouts(prepared))[0] == layouts(prepared)[0]


def test_a_job_that_names_zones_keeps_all_layouts() -> None:
    of = problem("10 ms", "10 ms", "10 ms")
    placed = replace(of, workload=replace(of.workload, dataset=Dataset(zone="b")))
    prepared = inputs(placed, (framework_facts("megatron"),))
    assert num_distinct(placed) == len(layouts(prepared))
