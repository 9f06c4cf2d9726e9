"""Whatever people write, the reader gives a problem or a SpecError with findings, and nothing else."""

from __future__ import annotations

import copy
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from crosszone.core.problem import Problem
from crosszone.errors import SpecError
from crosszone.spec import read_job, read_job_text
from crosszone.spec.schema import keys

GENERAL_FORM = {
    "stages": [{"num_layers": 16, "zone": "a", "node_group": 0, "tp": 2, "dp": 1, "first_layer": 0}],
    "replicas": [{"zones": ["a", "b"], "num_replicas": 1, "num_microbatches": 4, "weight": 1}],
    "idle_gpus": [{"zone": "b", "node_group": 0, "num_gpus": 1}],
    "sync": {"method": "flat", "codecs": {"gradients": "fp16"}},
}
NODES = [
    {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, "fabric": {"kind": "nvlink"}, "network": "8x200 Gbit/s"}
]
JOB = {
    "model": {"num_layers": 32, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000},
    "workload": {"sequence_length": 4096, "global_batch_size": 256, "dtypes": {"compute": "bf16"}, "dataset": {}},
    "cluster": {
        "zones": [
            {"name": "a", "region": "gcp:us-central1", "nodes": NODES},
            {"name": "b", "location": [39.9, 116.4], "nodes": NODES},
        ],
        "links": [{"between": ["a", "b"], "bandwidth": "10 Gbit/s", "rtt": "200 ms"}],
        "default_link": {"per_flow": "1 Gbit/s"},
    },
    "framework": {"name": "megatron"},
    "plan": {"tp": 2, "pp": 2, **GENERAL_FORM},
    "objective": {"deadline": "30 d"},
    "constraints": {"exclude_zones": ["a"], "allow": []},
}
NAMES = sorted({key.place.rpartition(".")[2].removesuffix("[]") for key in keys()})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["a", "b", "1T", "10 Gbit/s", "4x200 Gbit/s", "1 ms", "2 USD/h", "flat", "none", "nan", "1e999999999", "½"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a job."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


PLACES = [path for path in places(JOB) if path]


@st.composite
def mutated_jobs(draw):
    """A sound job with some values replaced, keys deleted and keys added."""
    job = copy.deepcopy(JOB)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4)):
        target = inside(job, path[:-1])
        change(draw, target, path[-1])
    return job


def inside(value, path):
    """What is at `path` now; None where a change has taken it away."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def change(draw, target, last) -> None:
    if isinstance(target, list) and isinstance(last, int) and last < len(target):
        target[last] = draw(VALUES)
    elif isinstance(target, dict):
        how = draw(st.sampled_from(["replace", "delete", "add"]))
        if how == "delete":
            target.pop(last, None)
        else:
            target[last if how == "replace" else draw(st.sampled_from(NAMES))] = draw(VALUES)


def check(read, source) -> None:
    try:
        assert isinstance(read(source), Problem)
    except SpecError as error:
        for finding in error.findings:
            assert finding.code
            assert finding.message.endswith(".")
            assert len(finding.message) < 1500


@settings(max_examples=400, deadline=None)
@given(mutated_jobs())
def test_mutated_jobs(job):
    check(read_job, job)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=10) | st.integers(), VALUES, max_size=4))
def test_any_mapping(job):
    check(read_job, job)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("ab:-[]{},&*!|>'\"#%@`?~ \n\t0.1e\\x\u2028\ufeff\x85"), max_size=60)
    | st.text(max_size=60)
)
def test_any_text(text):
    check(read_job_text, text)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.text(max_size=8))
def test_damaged_files(start, length, patch):
    text = (
        "model: llama-2-7b\nworkload: {sequence_length: 4096, global_batch_size: 256}\ncluster:\n  zones:\n"
        "    - name: a\n      nodes: [{count: 2, gpu: a100-sxm4-80gb, gpus_per_node: 8}]\nplan: {tp: 8}\n"
    )
    start %= len(text)
    check(read_job_text, text[:start] + patch + text[start + length :])


def test_numbers_of_any_length():
    digits = "9" * 1900
    assert len(digits) < sys.get_int_max_str_digits()
    for written in (digits, f"-{digits}", f"{digits}.5", f"1e{digits}", f"0x{digits}", f'"{digits} s"'):
        check(
            read_job_text,
            f"model: a\nplan: {{tp: {written}}}\nobjective: {{deadline: {written}}}\nschema_version: {written}",
        )
