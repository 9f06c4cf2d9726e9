"""Job files become problems in base units, with defaults filled and named."""

from __future__ import annotations

import json

import pytest

from crosszone.core.plan import IdleGpus, Sync
from crosszone.core.problem import PlanRequest
from crosszone.errors import SpecError
from crosszone.spec import read_job, read_job_text


def notices(items) -> dict[str, str]:
    return {notice.where: notice.message for notice in items}


def test_example_becomes_base_units(example):
    problem = read_job_text(example)

    assert (problem.model.name, problem.model.num_layers) == ("llama-3.1-70b", 80)
    assert problem.workload.global_batch_tokens == 8192 * 768
    assert problem.workload.train_tokens == 1e12
    assert problem.cluster.num_gpus == 96
    group = problem.cluster.zone("beijing-a").node_groups[0]
    assert (group.network_bytes_per_second, group.num_rails) == (4 * 25e9, 4)
    assert (group.fabric.kind, group.fabric.num_gpus, group.fabric.bytes_per_second) == ("nvlink", 8, 300e9)
    for link in problem.cluster.links:
        assert link.latency_seconds == pytest.approx(0.0143)
        assert link.bytes_per_second == 1.25e9
        assert link.distance_meters == pytest.approx(1067e3, rel=0.01)
    assert [(link.from_zone, link.to_zone) for link in problem.cluster.links] == [
        ("beijing-a", "shanghai-a"),
        ("shanghai-a", "beijing-a"),
    ]
    assert problem.framework == "megatron"
    assert (problem.plan.tp, problem.plan.pp, problem.plan.dp, problem.plan.recompute) == (8, 2, None, "selective")
    assert problem.objective.budget_dollars == 50000
    assert problem.objective.deadline_seconds == 30 * 86400
    assert problem.constraints.max_egress_dollars == 2000
    assert problem.warnings == ()


def test_unknown_prices_stay_unknown(example):
    problem = read_job_text(example)
    assert problem.cluster.zones[0].node_groups[0].dollars_per_gpu_second is None
    assert all(link.egress_dollars_per_byte is None for link in problem.cluster.links)


def test_only_what_nobody_stated_is_assumed(example):
    places = notices(read_job_text(example).assumed)
    assert set(places) == {"cluster.zones[0].nodes[0].fabric", "cluster.zones[1].nodes[0].fabric"}
    assert "300 GB/s" in places["cluster.zones[0].nodes[0].fabric"]


def test_text_file_mapping_and_json_say_the_same(example, tmp_path, small):
    path = tmp_path / "job.yaml"
    path.write_text(example, encoding="utf-8")
    assert read_job(path) == read_job(str(path)) == read_job_text(example)
    assert read_job_text(json.dumps(small(), indent="\t")) == read_job(small())


def test_reading_leaves_the_mapping_alone(small):
    job = small({"plan.tp": "2"})
    before = json.dumps(job)
    read_job(job)
    assert json.dumps(job) == before


def test_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("model: Größe".encode("latin-1"))
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(SpecError, match="cannot read the job file") as caught:
            read_job(path)
        assert caught.value.findings[0].code == "unreadable"


def test_byte_order_mark_is_no_part_of_the_first_key(example, tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(example, encoding="utf-8-sig")
    assert read_job(path).model.name == "llama-3.1-70b"


class TestModel:
    def test_size_takes_the_nearest_shape_and_says_so(self, small):
        problem = read_job(small({"model": {"parameters": "13B"}}))
        assert problem.model.num_layers == 40
        assert problem.model.name in notices(problem.assumed)["model.parameters"]

    def test_what_follows_in_a_shape(self, small):
        shape = {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000}
        experts = {"num_experts": 8, "experts_per_token": 2, "expert_ffn_size": 256, "num_shared_experts": 2}
        more = {"norm": "layernorm", "position": "learned", "max_positions": 4096}
        problem = read_job(small({"model": {**shape, **experts, **more}}))
        model = problem.model
        assert (model.norm_bias, model.num_position_rows, model.shared_expert_ffn_size) == (True, 4096, 512)
        assert "model.shared_expert_ffn_size" in notices(problem.assumed)
        assert read_job(small({"model": {**shape, "num_position_rows": 4096}})).model.position == "learned"
        assert read_job(small({"model": {**shape, **more, "norm_bias": False}})).model.norm_bias is False

    @pytest.mark.parametrize(
        ("change", "where"),
        [
            ({"position": "learned"}, "model.position"),
            ({"position": "rope", "num_position_rows": 2048}, "model.num_position_rows"),
        ],
    )
    def test_positions_that_contradict_themselves(self, small, change, where):
        shape = {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000}
        with pytest.raises(SpecError) as caught:
            read_job(small({"model": {**shape, **change}}))
        assert [finding.where for finding in caught.value.findings] == [where]

    def test_size_far_from_every_shape_is_refused_with_two(self, small):
        with pytest.raises(SpecError) as caught:
            read_job(small({"model": {"parameters": "9000B"}}))
        (finding,) = caught.value.findings
        assert finding.where == "model.parameters"
        assert "megatron-sc21-1t" in finding.message

    def test_inline_fields(self, small):
        shape = {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000}
        model = read_job(small({"model": {**shape, "tied_embeddings": True}})).model
        assert (model.head_size, model.num_kv_heads, model.tied_embeddings, model.gated_ffn) == (64, 8, True, True)

    @pytest.mark.parametrize(
        ("changes", "where", "numbers"),
        [
            ({"num_heads": 7}, "model.num_heads", ("7", "512")),
            ({"num_kv_heads": 3}, "model.num_kv_heads", ("3", "8")),
            ({"num_experts": 8}, "model.num_experts", ("8",)),
            ({"experts_per_token": 2}, "model.experts_per_token", ("2", "0")),
        ],
    )
    def test_inline_fields_that_conflict(self, small, only, changes, where, numbers):
        shape = {"num_layers": 4, "hidden_size": 512, "ffn_size": 2048, "num_heads": 8, "vocab_size": 32000, **changes}
        finding = only(small({"model": shape}))
        assert finding.where == where
        assert all(number in finding.message for number in numbers)

    def test_config_beside_the_job_file(self, small, tmp_path):
        (tmp_path / "tiny").mkdir()
        config = {"model_type": "llama", "num_hidden_layers": 3, "hidden_size": 256, "num_attention_heads": 4}
        (tmp_path / "tiny/config.json").write_text(json.dumps(config), encoding="utf-8")
        (tmp_path / "job.yaml").write_text(json.dumps(small({"model": "tiny/config.json"})), encoding="utf-8")
        assert read_job(tmp_path / "job.yaml").model.num_layers == 3

    def test_a_mapping_may_not_read_files(self, small, only):
        finding = only(small({"model": "/etc/config.json"}))
        assert (finding.where, finding.code) == ("model", "no_files")

    def test_unknown_name(self, small, only):
        finding = only(small({"model": "llama-2-7c"}))
        assert (finding.where, finding.code) == ("model", "unknown_name")
        assert "llama-2-7b" in finding.hint


class TestWorkload:
    def test_precision_is_shorthand(self, small):
        dtypes = read_job(small({"workload.precision": "fp16"})).workload.dtypes
        assert (dtypes.compute, dtypes.weights, dtypes.activations) == ("fp16", "fp16", "fp16")
        assert {dtypes.gradients, dtypes.gradient_reduction, dtypes.master_weights, dtypes.moments} == {"fp32"}

    def test_each_dtype_may_be_set(self, small):
        dtypes = read_job(small({"workload.dtypes": {"gradients": "bf16", "master_weights": "none"}})).workload.dtypes
        assert (dtypes.gradients, dtypes.master_weights, dtypes.gradient_reduction) == ("bf16", None, "fp32")

    def test_absent_precision_is_one_that_every_gpu_has(self, small):
        job = small({"cluster.zones.0.nodes.0.gpu": "v100-sxm2-16gb"})
        del job["workload"]["precision"], job["workload"]["optimizer"]
        problem = read_job(job)
        assert problem.workload.dtypes.compute == "fp16"
        assert {"workload.precision", "workload.optimizer"} <= set(notices(problem.assumed))

    def test_epochs_are_passes_over_the_dataset(self, small):
        job = small({"workload.epochs": 2, "workload.dataset": {"tokens": "300B"}})
        assert read_job(job).workload.train_tokens == 600e9

    def test_epochs_without_the_tokens_of_one(self, small, only):
        assert only(small({"workload.epochs": 2})).where == "workload.epochs"

    def test_epochs_against_train_tokens(self, small, only):
        changes = {"workload.epochs": 2, "workload.dataset": {"tokens": "300B"}, "workload.train_tokens": "1T"}
        finding = only(small(changes))
        assert finding.where == "workload.epochs"
        assert "600B" in finding.message
        assert "1T" in finding.message

    def test_longer_sequences_than_the_model_was_made_for_are_a_warning(self, small):
        warnings = notices(read_job(small({"workload.sequence_length": 8192})).warnings)
        assert "8192" in warnings["workload.sequence_length"]
        assert "4096" in warnings["workload.sequence_length"]

    def test_limits_on_the_whole_need_its_length(self, small):
        warnings = notices(read_job(small({"objective.budget": "1000 USD"})).warnings)
        assert "train_tokens" in warnings["objective.budget"]

    @pytest.mark.parametrize(
        ("gpu", "precision", "nearest"), [("v100-sxm2-16gb", "bf16", "fp16"), ("a100-sxm4-80gb", "fp8", "bf16")]
    )
    def test_precision_that_a_gpu_lacks(self, small, only, gpu, precision, nearest):
        finding = only(small({"cluster.zones.0.nodes.0.gpu": gpu, "workload.precision": precision}))
        assert finding.where == "workload.precision"
        assert gpu in finding.message
        assert nearest in finding.hint

    def test_precision_that_one_of_two_gpus_lacks(self, small, only):
        job = small()
        job["cluster"]["zones"][0]["nodes"].append({"count": 1, "gpu": "v100-sxm2-32gb", "gpus_per_node": 8})
        assert "v100-sxm2-32gb" in only(job).message
        assert "a100" not in only(job).message


class TestPlan:
    def test_general_form(self, small):
        job = small(
            {
                "plan": {
                    "tp": 4,
                    "cp": 1,
                    "stages": [{"num_layers": 20, "zone": "a"}, {"num_layers": 12, "recompute": "full"}],
                    "replicas": [{"zones": ["a"], "num_microbatches": 256}],
                    "microbatch_size": 1,
                    "idle_gpus": [{"zone": "a", "num_gpus": 8}],
                }
            }
        )
        plan = read_job(job).plan
        assert [(stage.num_layers, stage.zone, stage.recompute) for stage in plan.stages] == [
            (20, "a", None),
            (12, None, "full"),
        ]
        assert (plan.replicas[0].num_replicas, plan.replicas[0].zones) == (1, ("a",))
        assert (plan.pp, plan.dp) == (2, 1)
        assert plan.idle_gpus == (IdleGpus(zone="a", node_group=0, num_gpus=8),)

    def test_sync(self, small):
        sync = {"method": "diloco", "every": 500, "codecs": {"pseudogradients": "int8_block"}, "streams": 4}
        assert read_job(small({"plan.sync": sync})).plan.sync == Sync(
            method="diloco", every=500, codecs=(("pseudogradients", "int8_block"),), num_streams=4
        )

    def test_nothing_is_fixed_unless_written(self, small):
        plan = read_job(small()).plan
        assert plan == PlanRequest()
        assert plan.leaves_sum_open

    def test_a_way_to_agree_without_a_method_leaves_the_sum_open(self, small):
        assert read_job(small({"plan.sync": {"streams": 4}})).plan.leaves_sum_open
        for written in ({"method": "hierarchical"}, {"algorithm": "tree"}):
            assert not read_job(small({"plan.sync": written})).plan.leaves_sum_open


def test_keys_of_later_are_named(small):
    changes = {
        "plan.offload": "parameters",
        "plan.rank_order": ["tp", "cp", "dp", "pp"],
        "workload.trainable": "lora",
        "cluster.zones.0.nodes.0.cpus": 96,
    }
    warnings = notices(read_job(small(changes)).warnings)
    assert set(warnings) == {
        "plan.offload",
        "plan.rank_order",
        "workload.trainable",
        "cluster.zones[0].nodes[0].cpus",
    }
    assert all(name.rpartition(".")[2] in message for name, message in warnings.items())


def test_keys_with_an_effect_are_not_warned_of(small):
    changes = {"plan.sync": {"method": "local_sgd", "every": 8}, "plan.offload": "optimizer", "plan.prefetch": 2}
    changes |= {"workload.trainable": "all", "constraints.allow": ["local_sgd"]}
    assert read_job(small(changes)).warnings == ()


@pytest.mark.parametrize(
    ("result", "what"),
    [
        ({"schema_version": 1, "problem": {}, "plans": [], "verdict": "", "search": {}}, "an answer of"),
        ({"schema_version": 1, "fingerprint": "0", "step_seconds": 1.0, "plan": {}}, "a prediction of"),
    ],
)
def test_our_own_results_are_known_for_what_they_are(result, what):
    with pytest.raises(SpecError) as caught:
        read_job(result)
    (finding,) = caught.value.findings
    assert what in finding.message
    assert "job file" in finding.hint
