"""A whole table: rows, skipped rows, what counts, the null model; garbage never raises."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosszone.cost.flop import model_flop
from crosszone.verify.case import case_of
from crosszone.verify.validate import NULL_MODEL_FRACTION, validate_table


def test_a_row_is_measured_predicted_and_compared(make_table) -> None:
    validation = validate_table(make_table({}))
    (row,) = validation.rows
    assert (row.id, row.source, row.quantity, row.unit) == ("sc21_18b", "sc21", "step_seconds", "s")
    assert row.relative_error == pytest.approx(row.predicted / row.measured - 1.0)
    assert abs(row.relative_error) < 0.25
    assert (row.gpu, row.framework, row.family, row.column) == ("a100-sxm4-80gb", "megatron", "gpt", "tflops_per_gpu")
    assert (row.quality, row.is_counted) == ("", True)
    assert validation.skipped == ()
    assert validation.headline is not None
    assert validation.headline.total.num_rows == 1


def test_every_row_is_predicted_or_skipped_with_its_reason(make_table) -> None:
    validation = validate_table(
        make_table({"id": "a_1"}, {"id": "a_2", "gpu": "TPU v4"}, {"id": "b_3", "tp": "x"}, {"id": "b_4"})
    )
    assert [row.id for row in validation.rows] == ["a_1", "b_4"]
    assert [row.id for row in validation.skipped] == ["a_2", "b_3"]
    assert validation.skipped[1].reason == 'tp is "x", which is no number.'
    assert validation.num_table_rows == 4


def test_rows_of_quality_c_are_listed_apart(make_table) -> None:
    table = make_table({"id": "a_1", "quality": "A"}, {"id": "a_2", "quality": "C"})
    validation = validate_table(table)
    assert [row.is_counted for row in validation.rows] == [True, False]
    assert validation.headline is not None
    assert validation.headline.total.num_rows == 1
    everything = validate_table(table, all_qualities=True).headline
    assert everything is not None
    assert everything.total.num_rows == 2


def test_of_repeats_the_middle_one_counts(make_table) -> None:
    times = {"a_1": "9", "a_2": "11", "a_3": "10"}
    rows = [{"id": name, "iter_time_s": time, "dup_group": "g"} for name, time in times.items()]
    validation = validate_table(make_table(*rows))
    assert {row.id: row.is_counted for row in validation.rows} == {"a_1": False, "a_2": False, "a_3": True}


def test_the_null_model_is_a_constant_share_of_peak(make_row, make_table) -> None:
    problem = case_of(make_row()).problem
    flop = model_flop(problem.model, 2048) * 1024
    seconds = flop / (NULL_MODEL_FRACTION * 312e12 * 256)
    full, none = validate_table(make_table({}, {"recompute": "none"})).rows
    assert none.null_model_seconds == pytest.approx(seconds)
    assert full.null_model_seconds == pytest.approx(seconds * 4 / 3)


def test_quantities_are_scored_apart_and_time_comes_first(make_table) -> None:
    validation = validate_table(make_table({"peak_memory_GiB": "40", "status": "ran"}))
    assert list(validation.quantities) == ["step_seconds", "peak_memory_bytes", "fits"]
    memory = validation.rows[1]
    assert (memory.unit, memory.measured, memory.null_model_seconds) == ("bytes", 40 * 2**30, None)
    verdict = validation.rows[2]
    assert (verdict.unit, verdict.measured, verdict.relative_error) == ("boolean", True, None)
    assert isinstance(verdict.predicted, bool)


def test_what_cannot_fit_is_predicted_not_to(make_table) -> None:
    blank = {"tflops_per_gpu": "", "status": "oom"}
    (row,) = validate_table(make_table({**blank, "tp": "1", "dp": "256", "micro_batch": "4"})).rows
    assert (row.measured, row.predicted) == (False, False)


def test_groups_hold_rows_that_differ_in_their_plan_alone(make_table) -> None:
    rows = validate_table(
        make_table({}, {"micro_batch": "4"}, {"global_batch": "2048"}, {"id": "other_1"}, {"seq_len": "4096"})
    ).rows
    assert rows[0].group == rows[1].group
    assert len({row.group for row in rows}) == 4


def test_progress_goes_from_nothing_to_all(make_table) -> None:
    told: list[float] = []
    validate_table(make_table({}, {"pp": "2", "dp": "16"}, {"seq_len": "1024"}), on_progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, pytest.approx(1.0))


def test_a_table_where_nothing_can_be_predicted_has_no_scores(make_table) -> None:
    validation = validate_table(make_table({"gpu": "TPU"}))
    assert (validation.rows, validation.quantities, validation.headline) == ((), {}, None)


CELLS = st.one_of(
    st.text(max_size=12),
    st.integers(-3, 10**19).map(str),
    st.floats().map(str),
    st.sampled_from(["", "yes", "no", "1", "2", "8", "full", "fp8", "MLA(v1)", "MLA()", "window 0", "8x0Gb", "GH"]),
)


COLUMNS = """
    id year gpu n_gpus gpus_per_node network model layers hidden ffn_hidden heads kv_heads head_dim
    vocab seq_len attn_type gated_mlp tied_embeddings moe_experts moe_topk moe_ffn_hidden
    moe_shared_ffn moe_dense_layers tp pp vpp dp cp ep sequence_parallel zero_stage fsdp_mode
    micro_batch global_batch grad_accum recompute precision flash_attention framework iter_time_s
    mfu_pct tflops_per_gpu tflops_formula peak_memory_GiB status label_check
""".split()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(COLUMNS), CELLS, max_size=6))
def test_garbage_in_cells_is_a_row_or_a_reason(make_table, changes) -> None:
    validation = validate_table(make_table(changes))
    assert len({row.id for row in validation.rows}) + len(validation.skipped) == validation.num_table_rows
    for row in validation.rows:
        assert row.predicted > 0.0
    for skipped in validation.skipped:
        assert skipped.reason


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_garbage_after_a_header_never_raises(text) -> None:
    header = "id,gpu,n_gpus,seq_len,global_batch,model,iter_time_s\n"
    validation = validate_table(header + text)
    assert len(validation.rows) + len(validation.skipped) >= 0
