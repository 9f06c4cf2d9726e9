"""A task that a person makes on the page: it trains here, loses a rank, goes on, is stopped; the page says what the API
says."""

from __future__ import annotations

import os
import signal
from urllib.parse import urlsplit

import pytest

from crosszone import units
from crosszone.processes import marked
from e2e.task_server import rank_process, running_server, until

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.soak]  # test_tasks.py loses a rank in every run, web/test_tasks.py clicks
MODEL = {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "num_kv_heads": 2, "vocab_size": 512}
PATH = {"bandwidth": "1 Gbit/s", "rtt": "20 ms"}
WRITTEN = {
    "Task name": "by-hand",
    "Sequence length": "32",
    "Global batch": "12",
    "Steps": "100000",
    "Data parallel": "3",
    "Checkpoint every": "1 s",
}
SHOWN_SECONDS = 60.0


@pytest.fixture
def server(tmp_path):
    for found in running_server(tmp_path):
        until(found.is_ready, "what computes")
        yield found


def made(page):
    """Writes the form and sends it; the id of the task."""
    for name in ("north-1", "south-1"):
        page.get_by_role("checkbox", name=name).check()
    page.get_by_label("Model", exact=True).first.fill("tiny")
    page.keyboard.press("Escape")
    for label, text in WRITTEN.items():
        page.get_by_role("textbox", name=label).fill(text)
    page.get_by_role("combobox", name="Framework", exact=True).last.select_option("ddp")
    page.get_by_role("combobox", name="Device").select_option("cpu")
    page.get_by_test_id("summary").get_by_text("3 of 3").wait_for()
    page.get_by_role("button", name="Create and start").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("6.00 USD/h").wait_for()
    dialog.get_by_role("textbox").fill("by-hand")
    dialog.get_by_role("button", name="Create and start").click()
    page.get_by_text("2 nodes · 3 GPUs in all").wait_for()
    return urlsplit(page.url).path.rpartition("/")[2]


def panel(page, name):
    return page.get_by_role("region", name=name).first


def test_a_task_is_made_loses_a_rank_goes_on_and_is_stopped(server, open_page, keep_picture):
    server.ask("PUT", "registry/models/tiny", {"model": MODEL})
    for ends in (("north", "south"), ("south", "north")):
        server.ask("PUT", "zone-links", {"from": ends[0], "to": ends[1], "path": PATH})
    page = open_page("/tasks/create", height=1600)
    page.set_default_timeout(1e3 * SHOWN_SECONDS)
    task_id = made(page)

    def told(what):
        return server.ask("GET", f"training-tasks/{task_id}/{what}")

    page.get_by_test_id("standing").locator("[data-state=running]").wait_for(timeout=5e3 * SHOWN_SECONDS)
    until(lambda: told("checkpoints")["checkpoints"], "a checkpoint")
    run_id = told("progress")["run"]["run"]["run_id"]
    page.get_by_role("region", name="Log").get_by_text("is saved, in").first.wait_for()
    os.kill(rank_process(run_id, 1), signal.SIGKILL)  # torchrun starts the ranks again
    until(lambda: told("faults")["faults"], "the restart")
    (fault,) = told("faults")["faults"]
    assert fault["kind"] == "restarted"
    faults = panel(page, "Faults")
    faults.get_by_text("Restarted").wait_for()
    faults.get_by_text(f"step {fault['resumed_step']}").wait_for()
    keep_picture(page, "task-running")

    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    page.get_by_test_id("standing").locator("[data-state=stopped]").wait_for(timeout=3e3 * SHOWN_SECONDS)
    assert marked(run_id) == ()
    page.reload()
    check_page(page, told)
    assert page.get_by_text("The task is created.").count() == 0  # it was told once
    keep_picture(page, "task-stopped")
    page.get_by_role("button", name="Run again").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("6.00 USD/h").wait_for()
    again = dialog.get_by_role("button", name="Run again")
    assert again.is_disabled()
    dialog.get_by_role("textbox").fill("by-hand")
    assert again.is_enabled()
    page.keyboard.press("Escape")
    check_deployments(page, server, server.ask("GET", f"training-tasks/{task_id}")["request"])


def check_deployments(page, server, request):
    """What was deployed is listed, compared, asked for again at its price, and forgotten."""
    export = {**request, "taskName": "files", "launchMode": "export"}
    server.ask("POST", "training-tasks", {**export, "deployment": {**request["deployment"], "steps": 7}})
    until(lambda: len(server.ask("GET", "deployments")["deployments"]) == 2, "the files")
    page.get_by_role("link", name="Deploy", exact=True).click()
    both = server.ask("GET", "deployments")["deployments"]
    modes = [server.ask("GET", f"deployments/{kept['id']}/tasks/newest")["request"].get("launchMode") for kept in both]
    exported = modes.index("export")
    rows = page.get_by_role("region", name="Deployments").last.locator("tbody tr")
    rows.nth(1).wait_for()
    for row, kept in zip(rows.all(), both, strict=True):
        assert units.format_seconds(kept["prediction"]["step_seconds"]) in row.inner_text()
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare", exact=True).click()
    dialog = page.get_by_role("dialog")
    for change in server.ask("GET", f"deployments/{both[1]['id']}/changes?since={both[0]['id']}")["changes"]:
        dialog.get_by_text(change["path"], exact=True).wait_for()
    page.keyboard.press("Escape")
    row = rows.nth(1 - exported)
    row.get_by_role("button", name="Run again").click()
    dialog.get_by_text("6.00 USD/h").wait_for()
    assert dialog.get_by_role("button", name="Run again").is_disabled()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    rows.nth(1).wait_for(state="detached")
    assert [kept["id"] for kept in server.ask("GET", "deployments")["deployments"]] == [both[exported]["id"]]


def check_page(page, told):
    """Everything on the page is as the API has it."""
    progress, saved = told("progress"), told("checkpoints")["checkpoints"]
    key = page.get_by_test_id("key-figures")
    key.get_by_text(f"{progress['run']['step']} of {WRITTEN['Steps']}").wait_for()
    compared = panel(page, "Measured beside predicted").locator("tbody tr")
    assert compared.count() == len(progress["compared"])
    step = next(each for each in progress["compared"] if each["name"] == "step_seconds")
    written = compared.first.locator("data").all_inner_texts()
    assert written == [units.format_seconds(step["predicted"]), units.format_seconds(step["measured"])]
    rows = panel(page, "Checkpoints").locator("tbody tr")
    rows.first.wait_for()
    newest = saved[-1]
    assert rows.first.locator("td").first.inner_text() == str(newest["step"])
    assert newest["is_kept"]
    assert units.format_bytes(newest["size_bytes"]) in rows.first.inner_text()
    assert page.get_by_role("img", name="Rank 2: Stopped").count() == 1
    panel(page, "History").get_by_text("local asked for it.", exact=True).wait_for()
    panel(page, "Log").get_by_text(f"stopped after step {progress['run']['step']}").first.wait_for()
