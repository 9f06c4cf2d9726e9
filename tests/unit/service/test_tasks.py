"""Training tasks by service: the seeds' request and its answer, every rule, and what cannot work told with numbers."""

from __future__ import annotations

import copy
import json
import threading

import pytest

from crosszone import words
from crosszone.core.task import Cause, TaskFilter
from crosszone.core.task_request import TaskFacts
from crosszone.errors import Conflict, InfeasiblePlan, NotThere, SpecError, Stale
from crosszone.server.state_told import TASK_EXAMPLE
from crosszone.service import inventory, tasks
from crosszone.service.task_check import examine
from crosszone.service.task_memory import _listed
from crosszone.spec.task_request import read_task_request
from crosszone.store import records
from crosszone.store import tasks as stored
from crosszone.store.opened import open_store

SEED = {
    "taskName": "gpt3-pretraining",
    "datasetId": "dataset-001",
    "datasetVersionId": "version-001",
    "modelId": "model-001",
    "launchMode": "existing",
    "distributedConfig": {
        "enabled": True,
        "nodeIds": ["env-001", "env-003", "env-005"],
        "masterNode": "env-001",
        "framework": "deepspeed",
        "strategy": {"dataParallel": 2, "pipelineParallel": 4, "tensorParallel": 8},
    },
    "deployment": {"steps": 1000},
}
"""As the design of the API has it: 64 ranks on 14 GPUs."""
ZONES = ("北京可用区A", "深圳可用区C", "上海可用区A")


@pytest.fixture
def store(tmp_path):
    found = open_store(str(tmp_path / "state.sqlite"))
    rows = [
        ("env-001", "pytorch-dev-env", ZONES[0], "2x A100"),
        ("env-002", "cv-experiment-env", ZONES[0], "2x V100"),
        ("env-003", "llm-training-env", ZONES[1], "4x A100"),
        ("env-005", "nlp-research-lab", ZONES[2], "8x A100"),
    ]
    for number, (key, name, zone, gpu) in enumerate(rows):
        address = [f"192.168.{number}.10"]
        inventory.add_environment(
            found, {"id": key, "name": name, "zone": zone, "gpu": gpu, "status": "running", "addresses": address}
        )
    yield found
    found.close()


@pytest.fixture
def linked(store):
    for start, end in ((0, 1), (1, 2), (0, 2)):
        inventory.set_zone_link(store, ZONES[start], ZONES[end], {"bandwidth": "10 Gbit/s", "rtt": "30 ms"})
    return store


def request(*, config=None, strategy=None, **changed):
    """The seeds' request with other keys; `config` and `strategy` change keys inside, None takes one away."""
    value = copy.deepcopy(SEED)
    inner = value["distributedConfig"]
    for target, keys in ((inner["strategy"], strategy or {}), (inner, config or {}), (value, changed)):
        target |= keys
        for key in [key for key in keys if keys[key] is None]:
            del target[key]
    return value


DATA_PARALLEL = {"dataParallel": 14, "pipelineParallel": 1, "tensorParallel": 1}


def create(store, value, **more):
    return json.loads(tasks.create_task(store, value, actor="ann", **more).body)


def refused(store, value):
    with pytest.raises((SpecError, InfeasiblePlan)) as caught:
        tasks.create_task(store, value, actor="ann")
    return {each.where: each for each in caught.value.findings}


def test_64_ranks_on_14_gpus_are_refused_with_the_numbers(store):
    (found,) = refused(store, SEED).values()
    assert found.where == "distributedConfig.strategy"
    assert found.message == (
        "dataParallel × pipelineParallel × tensorParallel = 2 × 4 × 8 = 64 processes, but the 3 nodes have 14 GPUs."
    )
    assert "2 × 4 × 8 = 64 个进程" in found.message_zh
    assert "14 个 GPU" in found.message_zh
    assert found.hint == (
        "Nearest on 14 GPUs: dataParallel 2, pipelineParallel 7, tensorParallel 1 or "
        "dataParallel 1, pipelineParallel 7, tensorParallel 2 or "
        "dataParallel 7, pipelineParallel 1, tensorParallel 2."
    )
    assert tasks.training_tasks(store, TaskFilter()).tasks == ()


def test_the_answer_is_the_envelope_of_the_design(store):
    created = tasks.create_task(store, request(strategy=DATA_PARALLEL), actor="ann")
    body = json.loads(created.body)
    assert created.status == 201
    assert created.headers["Location"] == f"/api/v1/training-tasks/{body['data']['taskId']}"
    assert (body["code"], body["message"]) == (200, "训练任务创建成功")
    assert body["data"]["taskId"].startswith("task-")
    assert body["data"]["status"] == "initializing"
    info = body["data"]["distributedInfo"]
    assert {key: info[key] for key in ("nodeCount", "totalGpus", "masterNode", "framework")} == {
        "nodeCount": 3,
        "totalGpus": 14,
        "masterNode": "env-001",
        "framework": "deepspeed",
    }
    # one process for each GPU, and not one for each node
    assert info["worldSize"] == 14
    assert [(node["first_rank"], node["num_ranks"]) for node in info["nodes"]] == [(0, 2), (2, 4), (6, 8)]
    assert info["zones"] == list(ZONES)


def test_a_model_that_nobody_knows_leaves_a_draft_that_says_so(store):
    body = create(store, request(strategy=DATA_PARALLEL))
    assert (body["data"]["state"], body["data"]["prediction"]) == ("draft", None)
    assert any('"model-001" is not known here' in each for each in body["data"]["warnings"])


def test_a_model_that_was_registered_is_predicted(linked):
    asset = records.Asset(kind="model", id="model-001", name="M", model={"parameters": "1.3B"}, created_seconds=0.0)
    data = records.Asset(
        kind="dataset",
        id="dataset-001",
        version_id="version-001",
        name="D",
        size_bytes=1e11,
        zone=ZONES[0],
        created_seconds=0.0,
    )
    with linked.state.writing() as connection:
        records.keep_asset(connection, asset)
        records.keep_asset(connection, data)
    body = create(linked, request(strategy=DATA_PARALLEL))
    task = tasks.training_task(linked, body["data"]["taskId"])
    assert (task.state, task.job["model"]) == ("validated", {"parameters": "1.3B"})
    assert task.job["workload"]["dataset"] == {"size": "100 GB", "zone": ZONES[0]}
    # 100 GB over 10 Gbit/s, to each of the two other zones
    copies = [(each["to_zone"], round(each["seconds"])) for each in body["data"]["transfers"]]
    assert copies == [(ZONES[1], 80), (ZONES[2], 80)]
    assert body["data"]["prediction"]["step_seconds"] > 0
    assert body["data"]["prediction"]["memory"]["fits"] is True
    assert task.prediction["step_seconds"] == body["data"]["prediction"]["step_seconds"]
    assert [(step.to_state, step.cause.code, step.actor) for step in tasks.task_history(linked, task.id)] == [
        ("draft", "asked", "ann"),
        ("validated", "checked", "server"),
    ]


@pytest.mark.parametrize(
    ("changed", "where", "chinese"),
    [
        ({"taskName": "  "}, "taskName", "请输入任务名称"),
        ({"taskName": None}, "taskName", "请输入任务名称"),
        ({"datasetId": None}, "datasetId", "请选择数据集"),
        ({"datasetVersionId": ""}, "datasetVersionId", "请选择数据集"),
        ({"config": {"nodeIds": [], "masterNode": None}}, "distributedConfig.nodeIds", "请至少选择一个开发环境"),
        ({"distributedConfig": None}, "distributedConfig.nodeIds", "请至少选择一个开发环境"),
        ({"config": {"masterNode": "env-002"}}, "distributedConfig.masterNode", "请选择有效的主节点"),
        ({"config": {"framework": None}}, "distributedConfig.framework", "请选择分布式框架"),
    ],
)
def test_the_rules_of_the_form_in_its_words(store, changed, where, chinese):
    found = refused(store, request(**{"strategy": DATA_PARALLEL, **changed}))
    assert set(found) == {where}
    assert found[where].message_zh == chinese
    assert found[where].message.endswith(".")


@pytest.mark.parametrize("mode", ["existing", "export"])
def test_what_is_to_be_rendered_must_say_how_long_it_trains(linked, mode):
    value = request(strategy=DATA_PARALLEL, modelId="opt-1.3b", launchMode=mode, deployment=None)
    (found,) = refused(linked, value).values()
    assert (found.code, found.where) == ("missing_key", "deployment.steps")
    assert found.message_zh == "请指定训练多久（步数或训练 token 数）。"  # a hint stands behind it
    assert words.sentence(found.hint, "zh") is not None
    assert found.hint == "Write deployment.steps, or workload.train_tokens."
    assert create(linked, {**value, "workload": {"train_tokens": "1B"}})["data"]["state"] == "validated"


def test_a_prediction_need_not_say_how_long(linked):
    value = request(strategy=DATA_PARALLEL, modelId="opt-1.3b", launchMode="simulate", deployment=None)
    assert create(linked, value)["data"]["prediction"]["step_seconds"] > 0


def test_the_documented_request_is_taken(store):
    for key in ("env-001", "env-003"):
        inventory.change_environment(store, key, {"gpu": "8x A100"})
    body = create(store, TASK_EXAMPLE)
    assert body["data"]["state"] == "validated"


def test_all_of_them_are_told_at_once_in_the_order_of_the_form():
    with pytest.raises(SpecError) as caught:
        read_task_request({"launchMode": "existing", "distributedConfig": {"nodeIds": ["a", "b"], "masterNode": "c"}})
    assert [each.message_zh for each in caught.value.findings] == [
        "请输入任务名称",
        "请选择数据集",
        "请选择有效的主节点",
        "请选择分布式框架",
    ]


@pytest.mark.parametrize(
    ("changed", "where", "told"),
    [
        ({"launchMode": "tomorrow"}, "launchMode", "no launch mode"),
        ({"launchMode": "new"}, "distributedConfig.zones", "which nodes are to be rented"),
        ({"colour": "red"}, "colour", "unknown key"),
        ({"taskname": "x"}, "taskname", "unknown key"),
        ({"priority": 1e9}, "priority", "not a whole number"),
        ({"budget": "500"}, "budget", "no unit"),
        ({"modelId": 7}, "modelId", "not printable text"),
        ({"taskName": "x" * 300}, "taskName", "300 characters"),
        ({"config": {"nodeIds": "env-001"}}, "distributedConfig.nodeIds", "not a list"),
        ({"config": {"nodeIds": ["env-001", "env-001"]}}, "distributedConfig.nodeIds", "chosen 2 times"),
        ({"config": {"enabled": False}}, "distributedConfig.enabled", "enabled is false"),
        ({"config": {"framework": "deepsped"}}, "distributedConfig.framework", "no framework"),
        ({"config": {"zones": [{}]}}, "distributedConfig.zones", "both environments and zones"),
        ({"config": {"strategy": []}}, "distributedConfig.strategy", "not an object"),
        ({"strategy": {"tensorParallel": 0}}, "distributedConfig.strategy.tensorParallel", "from 1 to"),
        ({"strategy": {"zeroStage": 4}}, "distributedConfig.strategy.zeroStage", "from 0 to 3"),
        ({"strategy": {"dataParalel": 2}}, "distributedConfig.strategy.dataParalel", "unknown key"),
        ({"model": "llama-2-7b"}, "model", "said twice"),
    ],
)
def test_other_mistakes_are_told_where_they_are(changed, where, told):
    with pytest.raises(SpecError) as caught:
        read_task_request(request(**changed))
    found = {each.where: each for each in caught.value.findings}
    assert told in found[where].message
    assert all(each.message_zh for each in caught.value.findings)


JUNK = [None, 3, -1, 1.5, True, "", "x", "\x00", [], [1], {}, {"a": 1}, ["env-001"], "é" * 3000]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_no_value_is_a_mistake_of_ours(junk):
    config = ("enabled", "nodeIds", "masterNode", "framework", "strategy", "worldSize", "zones", "links", "defaultLink")
    strategy = (*SEED["distributedConfig"]["strategy"], "zeroStage", "trainBatchSize", "microBatchSize", "plan")
    values = [request(**{key: junk}) for key in (*SEED, "model", "workload", "objective", "priority", "budget")]
    values += [request(config={key: junk}) for key in config] + [request(strategy={key: junk}) for key in strategy]
    for value in values:
        refusal_of(value)


def refusal_of(value):
    try:
        return examine(value, TaskFacts())
    except (SpecError, InfeasiblePlan) as error:
        return error


def test_environments_that_cannot_be_used_are_all_told(store):
    inventory.change_environment(store, "env-003", {"status": "stopped"})
    inventory.change_environment(store, "env-005", {"draining": True})
    inventory.add_environment(store, {"id": "env-head", "name": "head", "zone": "x"})
    value = request(config={"nodeIds": ["env-001", "env-003", "env-005", "env-head", "env-9"]}, strategy=DATA_PARALLEL)
    found = refused(store, value)
    assert [each.message for each in found.values()] == [
        '"llm-training-env" is stopped.',
        '"nlp-research-lab" is draining and takes nothing new.',
        '"head" has no GPU.',
        'there is no environment "env-9".',
    ]
    assert list(found) == [f"distributedConfig.nodeIds[{index}]" for index in (1, 2, 3, 4)]


def test_a_world_has_a_process_for_each_gpu(store):
    (found,) = refused(store, request(config={"worldSize": 3}, strategy=DATA_PARALLEL)).values()
    assert found.message == "worldSize 3 is the number of nodes; processes are 14, one for each GPU."
    assert create(store, request(config={"worldSize": 14}, strategy=DATA_PARALLEL))


@pytest.mark.parametrize(
    ("strategy", "told", "hint"),
    [
        (
            {"trainBatchSize": 64, "microBatchSize": 1, "gradientAccumulationSteps": 1},
            "a batch of 64 is not microBatchSize 1 × gradientAccumulationSteps 1 × 14 replicas: 64 / 14 = 4.571.",
            "Nearest are 56 or 70.",
        ),
        ({"trainBatchSize": 8}, "8 / 14 = 0.5714", "Nearest is 14."),
    ],
)
def test_a_batch_is_a_product(store, strategy, told, hint):
    (found,) = refused(store, request(strategy={**DATA_PARALLEL, **strategy})).values()
    assert found.where == "distributedConfig.strategy.trainBatchSize"
    assert told in found.message
    assert found.hint == hint


@pytest.mark.parametrize("strategy", [{"trainBatchSize": 70}, {"trainBatchSize": 28, "gradientAccumulationSteps": 2}])
def test_batches_that_are_products_are_taken(store, strategy):
    assert create(store, request(strategy={**DATA_PARALLEL, **strategy}))


def new_nodes(num_nodes, gpus_per_node, framework, strategy, **more):
    nodes = [{"count": num_nodes, "gpu": "a100-sxm4-80gb", "gpus_per_node": gpus_per_node}]
    config = {"zones": [{"name": "east", "nodes": nodes}], "framework": framework, "strategy": strategy}
    return {
        **{key: SEED[key] for key in ("taskName", "datasetId", "datasetVersionId")},
        "launchMode": "simulate",
        "distributedConfig": config,
        **more,
    }


def test_gpt_3_does_not_fit_64_gpus_without_sharding(store):
    strategy = {"tensorParallel": 8, "pipelineParallel": 4, "dataParallel": 2}
    (found,) = refused(store, new_nodes(8, 8, "megatron-lm", strategy, modelId="gpt3-175b")).values()
    assert "needs 106 GB and has 85 GB" in found.message
    assert found.message_zh == "显存不足：占用最多的 GPU 需要 106 GB，而它只有 85 GB。"
    assert found.hint == "Set zeroStage=1: the fullest GPU then needs 75.6 GB."
    assert words.sentence(found.hint, "zh") == "设置 zeroStage=1 后，占用最多的 GPU 需要 75.6 GB。"
    sharded = new_nodes(8, 8, "megatron-lm", {**strategy, "zeroStage": 1}, modelId="gpt3-175b")
    body = create(store, sharded)
    assert body["data"]["prediction"]["memory"]["fits"] is True
    assert body["data"]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"plan.dp_shard": "null"}, ""),  # a request has no such key
        ({"plan.shard": "gradients", "plan.dp_shard": "null"}, "zeroStage=2"),
        (
            {"plan.shard": "gradients", "plan.dp_shard": "null", "framework.name": "fsdp"},
            "zeroStage=2 and framework=fsdp",
        ),
    ],
)
def test_settings_are_told_as_keys_of_a_request(settings, said):
    assert _listed(settings) == said


def test_llama_2_does_not_fit_two_gpus_whole(store):
    (found,) = refused(store, new_nodes(1, 2, "pytorch-ddp", {"dataParallel": 2}, modelId="llama-2-7b")).values()
    assert "needs 115 GB and has 85 GB" in found.message
    assert found.hint == "Set zeroStage=2 and framework=deepspeed: the fullest GPU then needs 76.2 GB."
    assert create(store, new_nodes(1, 2, "pytorch-fsdp", {"zeroStage": 3}, modelId="llama-2-7b"))


def test_what_a_framework_cannot_do_is_told_where_it_was_asked_for(store):
    found = refused(store, new_nodes(1, 2, "pytorch-ddp", {"tensorParallel": 2}, modelId="llama-2-7b"))
    assert set(found) == {"distributedConfig.strategy"}
    assert "no tensor parallelism" in next(iter(found.values())).message


def test_without_a_strategy_one_is_found(store):
    body = create(store, new_nodes(1, 8, "pytorch-fsdp", {}, modelId="llama-2-7b"))
    assert body["data"]["prediction"]["memory"]["fits"] is True


def test_what_is_assumed_is_said(store):
    body = create(store, new_nodes(1, 8, "pytorch-fsdp", {"dataParallel": 8}, modelId="llama-2-7b"))
    assert any("sequences of 2048 tokens" in each for each in body["data"]["warnings"])
    workload = {"sequence_length": 4096, "global_batch_size": 64}
    body = create(store, new_nodes(1, 8, "pytorch-fsdp", {}, modelId="llama-2-7b", workload=workload))
    assert not any("assumed: " in each for each in body["data"]["warnings"])


def test_zones_are_told_what_they_cost(linked):
    workload = {"sequence_length": 2048, "global_batch_size": 28}
    value = request(modelId="opt-1.3b", strategy=DATA_PARALLEL, workload=workload)
    warnings = create(linked, value)["data"]["warnings"]
    (said,) = [each for each in warnings if each.startswith("training across zones")]
    assert "waiting for" in said
    assert "Agreeing every 50 steps would make it 354 ms a step with fsdp" in said


def test_an_examination_says_in_figures_what_crossing_zones_costs(linked):
    workload = {"sequence_length": 2048, "global_batch_size": 28}
    value = request(modelId="opt-1.3b", strategy=DATA_PARALLEL, workload=workload)
    found = examine(value, tasks.task_facts(linked, value))
    assert found.spanning.exposed_seconds < found.spanning.step_seconds == found.prediction["step_seconds"]
    assert (found.spanning.local_every, round(found.spanning.local_step_seconds, 3)) == (50, 0.354)
    assert (found.costs.gpu_dollars_per_hour, found.costs.egress_dollars_per_hour) == (None, None)
    assert tasks.training_tasks(linked, TaskFilter()).tasks == ()


def test_what_nodes_cost_an_hour_is_counted_by_gpu(linked):
    for key, price in (("env-001", "2 USD/h"), ("env-003", "3 USD/h"), ("env-005", "1 USD/h")):
        inventory.change_environment(linked, key, {"price": price})
    value = request(modelId="opt-1.3b", strategy=DATA_PARALLEL)
    found = examine(value, tasks.task_facts(linked, value))
    assert found.costs.gpu_dollars_per_hour == pytest.approx(2 * 2 + 4 * 3 + 8 * 1)


@pytest.mark.parametrize(
    ("model", "framework", "hint"),
    [
        ("llama-3-8b", "ddp", "Set zeroStage=1 and framework=deepspeed: the fullest GPU then needs"),
        ("llama-3-70b", "ddp", "Leave the framework and its strategy open: megatron with tp=4, pp=2, dp=1"),
        ("llama-3.1-405b", "fsdp", "Take more GPUs or larger ones: weights, gradients and optimizer states are"),
    ],
)
def test_what_does_not_fit_is_told_with_what_was_tried_and_fits(store, model, framework, hint):
    (found,) = refused(store, new_nodes(1, 8, framework, {}, modelId=model)).values()
    assert found.hint.startswith(hint)
    assert words.sentence(found.hint, "zh")


def test_without_links_there_is_memory_and_there_are_no_times(store):
    body = create(store, request(modelId="opt-1.3b", strategy=DATA_PARALLEL))
    assert (body["data"]["state"], body["data"]["prediction"]) == ("validated", None)
    assert "nothing is known of the paths" in body["data"]["warnings"][0]


def test_without_links_a_task_that_only_predicts_is_refused(store):
    value = request(modelId="opt-1.3b", strategy=DATA_PARALLEL, launchMode="simulate")
    (found,) = refused(store, value).values()
    assert found.code == "unknown_paths"
    assert "nothing is known of the paths" in found.message


def test_a_request_may_bring_its_links(store):
    links = [
        {"between": [ZONES[a], ZONES[b]], "bandwidth": "10 Gbit/s", "rtt": "30 ms"} for a, b in ((0, 1), (1, 2), (0, 2))
    ]
    body = create(store, request(modelId="opt-1.3b", strategy=DATA_PARALLEL, config={"links": links}))
    assert body["data"]["prediction"]["step_seconds"] > 0


def test_gpus_that_the_search_leaves_idle_are_told(store):
    inventory.set_zone_link(store, ZONES[0], ZONES[1], {"bandwidth": "100 Mbit/s", "rtt": "50 ms"})
    for key in ("env-001", "env-003"):
        inventory.change_environment(store, key, {"gpu": "1x A100"})
    config = {"nodeIds": ["env-001", "env-003"], "framework": "pytorch-fsdp", "strategy": None}
    few = {"sequence_length": 64, "global_batch_size": 2}
    found = create(store, request(config=config, modelId="opt-350m", workload=few))["data"]
    kept, idle = found["warnings"][:2]
    assert kept.startswith(f"only {ZONES[0]} trains: 1 of its GPUs take ")
    assert "2 GPUs of 2 zones" in kept
    assert idle == f"1 of 2 GPUs idle: 1 a100-sxm4-80gb in {ZONES[1]}."


def test_the_main_node_is_found_and_may_be_chosen(linked):
    inventory.change_environment(linked, "env-001", {"preemptible": True})
    value = request(strategy=DATA_PARALLEL, config={"masterNode": None})
    info = create(linked, value)["data"]["distributedInfo"]
    assert info["masterNode"] == "env-003"
    assert [(node["environment_id"], node["first_rank"]) for node in info["nodes"]] == [
        ("env-003", 0),
        ("env-001", 4),
        ("env-005", 6),
    ]
    body = create(linked, request(strategy=DATA_PARALLEL))
    assert body["data"]["distributedInfo"]["masterNode"] == "env-001"
    assert any('"pytorch-dev-env" may be taken back' in each for each in body["data"]["warnings"])


def test_one_node_needs_neither_framework_nor_strategy(store):
    value = {key: SEED[key] for key in ("taskName", "datasetId", "datasetVersionId", "launchMode")}
    value |= {"modelId": "opt-350m", "distributedConfig": {"nodeIds": ["env-001"]}, "deployment": {"steps": 10}}
    body = create(store, value)
    assert (body["data"]["state"], body["data"]["distributedInfo"]["isDistributed"]) == ("validated", False)
    assert body["data"]["distributedInfo"]["totalGpus"] == 2


def test_how_long_a_start_takes_is_told_from_five_starts_on(store):
    value = request(strategy=DATA_PARALLEL, modelId="opt-1.3b")
    for number in range(5):
        body = create(store, value)
        assert body["data"]["start"] is None
        with store.state.writing() as connection:
            task = stored.one(connection, body["data"]["taskId"])
            for state, at in (("deployed", 0), ("preflight", 0), ("starting", 10), ("running", 20 + number)):
                task = stored.move(connection, task, state, Cause(code="x"), actor="worker", now_seconds=float(at))
    assert create(store, value)["data"]["start"] == {"num_starts": 5, "p50_seconds": 12.0, "p90_seconds": 13.6}


def test_a_repeated_request_creates_one_task(store):
    value = request(strategy=DATA_PARALLEL)
    first = tasks.create_task(store, value, actor="ann", key="k")
    again = tasks.create_task(store, copy.deepcopy(value), actor="ann", key="k")
    assert first == again
    assert len(tasks.training_tasks(store, TaskFilter()).tasks) == 1
    with pytest.raises(Conflict, match="came with another request"):
        tasks.create_task(store, request(strategy=DATA_PARALLEL, taskName="other"), actor="ann", key="k")
    assert tasks.create_task(store, value, actor="bob", key="k") != first


def test_requests_at_the_same_time_under_one_key_create_one_task(store):
    value = request(strategy=DATA_PARALLEL)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(tasks.create_task(store, value, actor="ann", key="k")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len({answer.body for answer in answers}) == 1
    assert len(tasks.training_tasks(store, TaskFilter()).tasks) == 1


def test_an_environment_that_went_meanwhile_is_noticed(store):
    value = request(strategy=DATA_PARALLEL)
    examined = examine(value, tasks.task_facts(store, value))
    inventory.remove_environment(store, "env-005")
    with pytest.raises(NotThere, match="env-005"):
        tasks.keep_task(store, value, examined, actor="ann")
    assert tasks.training_tasks(store, TaskFilter()).tasks == ()


def test_a_task_that_nothing_runs_of_is_stopped_at_once(store):
    key = create(store, request(strategy=DATA_PARALLEL))["data"]["taskId"]
    with pytest.raises(Stale):
        tasks.ask_task_to_stop(store, key, actor="ann", expected_version=7)
    stopped = tasks.ask_task_to_stop(store, key, actor="ann", expected_version=1)
    assert (stopped.state, stopped.is_stop_asked) == ("stopped", True)
    assert tasks.ask_task_to_stop(store, key, actor="bob") == stopped
    told = [each.cause.text for each in tasks.task_history(store, key)]
    assert (told[0], told[-1]) == ("ann asked for it.", "ann asked for it to stop.")
    with pytest.raises(NotThere):
        tasks.ask_task_to_stop(store, "task-none", actor="ann")


def test_a_task_that_runs_is_asked(store):
    key = create(store, request(strategy=DATA_PARALLEL, modelId="opt-1.3b"))["data"]["taskId"]
    with store.state.writing() as connection:
        task = stored.one(connection, key)
        for state in ("deployed", "preflight", "starting"):
            task = stored.move(connection, task, state, Cause(code="x"), actor="worker", now_seconds=1.0)
    asked = tasks.ask_task_to_stop(store, key, actor="ann")
    assert (asked.state, asked.is_stop_asked) == ("starting", True)
    with pytest.raises(NotThere):
        tasks.task_history(store, "task-none")


def test_what_is_wrong_with_nodes_that_a_request_writes_is_told_at_those_nodes(store):
    found = refused(store, new_nodes(1, "many", "fsdp", {}, modelId="llama-3-8b"))
    assert set(found) == {"distributedConfig.zones[0].nodes[0].gpus_per_node"}
