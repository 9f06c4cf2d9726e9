"""Training tasks on the screen: made from chosen environments, listed, and followed, as the API says it."""

from __future__ import annotations

import re

import pytest

from crosszone import units

pytestmark = pytest.mark.slow
CHOSEN = {"pytorch-dev-env": "env-001", "llm-training-env": "env-003"}
WORKLOAD, STEPS = {"sequence_length": 2048}, {"steps": 1000}


def examined(server, ids, **changed):
    """What the API says of the request that the form sends."""
    return server.ask("/api/v1/training-tasks/examine", request(ids, **changed))


def request(ids, **changed):
    """What the form sends."""
    config = {"enabled": len(ids) > 1, "nodeIds": ids, "framework": "fsdp"}
    body = {"taskName": "a", "datasetId": "synthetic", "datasetVersionId": "1", "modelId": "llama-3-8b"}
    return {**body, "distributedConfig": config, "workload": WORKLOAD, "deployment": STEPS, **changed}


def choose(page, *names):
    for name in names:
        page.get_by_role("checkbox", name=name).check()


def test_the_summary_says_what_the_api_says(open_page, server, keep_picture):
    page = open_page("/training/create", language="zh", height=1500)
    page.wait_for_url(re.compile("/tasks/create$"))
    choose(page, *CHOSEN)
    summary = page.get_by_test_id("summary")
    task = examined(server, list(CHOSEN.values()))["task"]
    totals = server.ask("/api/v1/environments/cluster", {"ids": list(CHOSEN.values())})["totals"]
    page.get_by_text(f"已选 {len(CHOSEN)}").wait_for()
    for text in (
        f"{totals['num_environments']} 个",
        f"{totals['num_gpus']} 个",
        f"{totals['num_cpus']} 核",
        units.format_bytes(totals["memory_bytes"]),
        units.format_seconds(task["prediction"]["step_seconds"]),
        units.format_bytes(task["prediction"]["memory"]["peak_bytes"]),
    ):
        summary.get_by_text(text).first.wait_for()
    paths = server.ask("/api/v1/environments/paths", {"ids": list(CHOSEN.values())})["paths"]
    written = page.get_by_test_id("connectivity").locator("data").all_inner_texts()
    figures = [
        (units.format_seconds(p["rtt_seconds"]), units.format_bytes_per_second(p["bytes_per_second"])) for p in paths
    ]
    assert written == [figure for pair in figures for figure in pair]
    keep_picture(page, "tasks-create-zh")


def test_what_spanning_zones_and_copying_data_cost_is_told(open_page, server):
    data = {"name": "corpus", "size": "10 TB", "zone": "北京可用区A"}
    server.ask("/api/v1/registry/datasets/corpus?version=1", data, method="PUT")
    page = open_page("/tasks/create", language="zh")
    choose(page, *CHOSEN, "nlp-research-lab")
    ids = [*CHOSEN.values(), "env-005"]
    page.get_by_role("combobox", name="分布式框架").select_option("deepspeed")
    page.get_by_role("combobox", name="数据集").select_option("corpus@1")
    summary, config = page.get_by_test_id("summary"), {"enabled": True, "nodeIds": ids}
    kept = examined(server, ids, datasetId="corpus", distributedConfig={**config, "framework": "deepspeed"})["task"]
    assert kept["comparison"]["alone"]["num_gpus"] == kept["prediction"]["num_gpus"] < kept["num_gpus"]
    for side in ("alone", "spanning"):
        step = units.format_seconds(kept["comparison"][side]["step_seconds"])
        page.get_by_test_id("staying").get_by_text(step).wait_for()
    for transfer in kept["transfers"]:
        copied = f"{transfer['to_zone']}：10 TB，{units.format_seconds(transfer['seconds'])}"
        summary.get_by_text(copied).wait_for()
    page.get_by_role("combobox", name="分布式框架").select_option("fsdp")
    page.get_by_role("textbox", name="数据并行").fill("14")
    config |= {"framework": "fsdp", "strategy": {"dataParallel": 14}}
    spanning = examined(server, ids, datasetId="corpus", distributedConfig=config)["task"]["spanning"]
    for told in (
        units.format_seconds(spanning["exposed_seconds"]),
        units.format_bytes(spanning["step_bytes"]),
        units.format_seconds(spanning["local_step_seconds"]),
    ):
        page.get_by_test_id("spanning").get_by_text(told).wait_for()
    summary.get_by_text(f"{spanning['from_zone']} → {spanning['to_zone']}", exact=True).wait_for()


def test_one_node_trains_after_two_clicks(open_page, server):
    page = open_page("/tasks/create", language="zh")
    page.locator("label", has_text="nlp-research-lab").click()
    summary = page.get_by_test_id("summary")
    for text in ("单机训练", "8 个", "64 核", "512 GB"):
        summary.get_by_text(text, exact=True).wait_for()
    page.get_by_role("button", name="创建并启动训练").click()
    page.get_by_text("使用环境: nlp-research-lab").wait_for()
    task = page.url.rpartition("/")[2]
    assert server.ask(f"/api/v1/training-tasks/{task}")["num_gpus"] == 8


def test_the_main_node_is_one_of_those_that_are_chosen(open_page):
    page = open_page("/tasks/create")
    choose(page, *CHOSEN)
    main = page.get_by_role("combobox", name="Main node")
    main.select_option(label="llm-training-env")
    card = page.locator("label", has_text="llm-training-env")
    card.get_by_text("Main node").wait_for()
    card.click()  # not chosen any more, and so not the main node
    page.get_by_text("1 chosen").wait_for()
    assert main.count() == 0
    card.click()
    page.locator("label", has_text="pytorch-dev-env").get_by_text("Main node").wait_for()
    page.route("**/training-tasks/examine", unreachable)
    page.get_by_role("textbox", name="Task name").fill("another")
    page.get_by_role("alert").filter(has_text='"a" is not reached.').wait_for()
    page.get_by_test_id("forecast").get_by_text("Step time").wait_for()  # beside what is wrong


def test_a_zone_or_a_range_is_chosen_at_once_by_mouse_and_by_key(open_page, server):
    page = open_page("/tasks/create")
    zone = page.get_by_role("region", name="北京可用区A")
    zone.get_by_role("button", name="Choose all here").click()
    page.get_by_text("2 chosen").wait_for()
    mixed = examined(server, ["env-001", "env-002"])["task"]["prediction"]["checks"]
    unlike = [check for check in mixed if check["verdict"] != "pass"]
    assert {"idle_gpus", "precision"} <= {check["name"] for check in unlike}
    for check in unlike:
        page.get_by_test_id("checks").get_by_text(check["message"]).wait_for()
    zone.get_by_role("button", name="Choose none here").click()
    page.get_by_text("0 chosen").wait_for()
    page.get_by_role("checkbox", name="nlp-research-lab").focus()
    page.keyboard.press("Space")
    page.get_by_text("1 chosen").wait_for()
    page.get_by_role("checkbox", name="llm-training-env").focus()
    page.keyboard.press("Shift+Space")
    page.get_by_text("2 chosen").wait_for()
    page.locator("label", has_text="pytorch-dev-env").click(modifiers=["Shift"])  # all from the last one to it
    page.get_by_text(re.compile("[34] chosen")).wait_for()


def test_what_is_rented_is_examined_and_its_name_must_be_typed(open_page, server):
    page = open_page("/tasks/create")
    page.get_by_text("Rented nodes", exact=True).click()
    page.get_by_label("Price of a GPU").fill("2 USD/h")
    page.get_by_role("combobox", name="GPU").fill("a100-sxm4-80gb")
    node = {"gpu": "a100-sxm4-80gb", "count": 1, "gpus_per_node": 8, "price": "2 USD/h"}
    zones = [{"name": "zone-1", "nodes": [node]}]
    config = {"enabled": False, "zones": zones, "framework": "fsdp"}
    task = examined(server, [], launchMode="new", distributedConfig=config)["task"]
    assert task["costs"]["gpu_dollars_per_hour"] == 16.0
    summary = page.get_by_test_id("summary")
    summary.get_by_text("16.00 USD/h").wait_for()
    summary.get_by_text(units.format_seconds(task["prediction"]["step_seconds"])).first.wait_for()
    page.get_by_role("button", name="Rent and start").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("16.00 USD/h").wait_for()
    send = dialog.get_by_role("button", name="Rent and start")
    assert send.is_disabled()
    dialog.get_by_role("textbox").fill("llama-3-8b-pretraining")
    assert send.is_enabled()
    page.keyboard.press("Escape")
    page.get_by_label("GPUs per node").fill("many")
    page.get_by_role("alert").filter(has_text="many").wait_for()
    page.get_by_label("GPUs per node").fill("8")
    page.get_by_text("Prediction only", exact=True).click()
    page.get_by_role("button", name="Create and predict").click()
    page.wait_for_url(re.compile("/tasks/task-"))
    page.get_by_test_id("standing").locator("[data-state=succeeded]").wait_for()
    shown = page.get_by_role("region", name="Measured beside predicted").locator("tbody tr").first
    shown.get_by_text(units.format_seconds(task["prediction"]["step_seconds"])).wait_for()


def test_mistakes_stand_at_their_fields_in_the_language_of_the_page(open_page, server):
    page = open_page("/tasks/create", language="zh")
    choose(page, *CHOSEN)
    page.get_by_role("textbox", name="任务名称").fill("")
    page.get_by_role("combobox", name="数据集").select_option("")
    page.get_by_role("combobox", name="分布式框架").select_option("")
    config = {"nodeIds": list(CHOSEN.values()), "framework": ""}
    found = examined(server, [], taskName="", datasetId="", distributedConfig=config)["errors"]
    told = [error["message_zh"] for error in found]
    assert {"请输入任务名称", "请选择数据集", "请选择分布式框架"} <= set(told)
    for message in told:
        page.locator(".mantine-InputWrapper-error", has_text=message).wait_for()
    for name in CHOSEN:
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_role("button", name="创建并启动训练").click()
    refusal = page.get_by_role("alert").filter(has_text="请至少选择一个开发环境").first
    refusal.wait_for()
    page.get_by_role("textbox", name="任务名称").fill("a")  # an edit of something else mends nothing of it
    page.get_by_text("请输入任务名称").wait_for(state="detached")
    refusal.wait_for()
    choose(page, *CHOSEN)
    refusal.wait_for(state="detached")


def test_a_task_is_made_listed_and_stopped(open_page, server, keep_picture):
    page = open_page("/tasks/create")
    choose(page, *CHOSEN)
    page.get_by_role("textbox", name="Task name").fill("from-the-form")
    page.get_by_role("combobox", name="Model").press("Enter")  # which makes no task of what is half filled in
    page.get_by_role("button", name="Create and start").click()
    page.get_by_text("The task is created.").wait_for()
    page.get_by_text("2 nodes · 6 GPUs in all").wait_for()
    task = page.url.rpartition("/")[2]
    page.get_by_text("This is a demonstration: it renders and starts nothing.").wait_for()
    kept = server.ask(f"/api/v1/training-tasks/{task}")
    assert (kept["name"], kept["num_gpus"]) == ("from-the-form", 6)
    shown = page.get_by_role("region", name="Measured beside predicted").locator("tbody tr").first.locator("data").first
    assert shown.inner_text() == units.format_seconds(kept["prediction"]["step_seconds"])
    keep_picture(page, "tasks-one-en")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    page.get_by_test_id("standing").locator("[data-state=stopped]").wait_for()
    page.get_by_test_id("standing").get_by_role("link", name="Timeline").click()
    page.wait_for_url(re.compile("/timeline#job="))  # the job of the task, not the one that this browser had
    page.get_by_text(f"{units.format_seconds(kept['prediction']['step_seconds'])} a step").wait_for()
    page.goto(f"{server.url}/tasks?state=stopped")
    page.get_by_role("link", name="from-the-form").wait_for()
    page.get_by_role("combobox", name="State").select_option("running")
    page.get_by_text("Nothing matches").wait_for()
    keep_picture(page, "tasks-list-en")


def test_older_tasks_are_a_button_away(open_page, server):
    for name in ("page-older", "page-newer"):
        server.ask(
            "/api/v1/training-tasks", request([CHOSEN["llm-training-env"]], taskName=name, launchMode="simulate")
        )
    page = open_page("/help")
    page.route("**/training-tasks?*", one_at_once)
    page.get_by_role("link", name="Tasks", exact=True).first.click()
    names = page.get_by_role("region", name="Training tasks").locator("tbody a")
    names.first.wait_for()
    assert names.all_inner_texts() == ["page-newer"]
    page.get_by_role("button", name="Show more").click()
    names.nth(1).wait_for()
    assert names.all_inner_texts() == ["page-newer", "page-older"]


def unreachable(route):
    """An answer with something wrong that is of now, and no mistake."""
    response = route.fetch()
    error = {"code": "unavailable", "message": '"a" is not reached.', "message_zh": "开发环境 a 不可达", "hint": ""}
    told = {"errors": [{**error, "where": "distributedConfig.nodeIds[0]"}]}
    route.fulfill(response=response, json=response.json() | told)


def one_at_once(route):
    """A page of one task instead of fifty."""
    route.continue_(url=route.request.url.replace("limit=50", "limit=1"))
