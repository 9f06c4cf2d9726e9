"""Deploying on the screen: which cells go, what the files say, what is asked before anything starts."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest

pytestmark = pytest.mark.slow
OPTIONS = {"steps": 1000, "checkpoints": "none"}


@pytest.fixture(scope="module")
def first_job(server):
    """The text of the job that the page begins with."""
    templates = server.ask("/api/v1/templates")["templates"]
    return next(template["text"] for template in templates if template["name"] == "very-large")


def test_cells_and_files_are_those_of_the_api(open_page, server, first_job, keep_picture):
    page = open_page("/deploy", height=1400)
    cells = server.ask("/api/v1/deploy/cells", {"job": first_job, **OPTIONS})["cells"]
    table = page.get_by_role("table", name="Framework and backend")
    table.locator("button").first.wait_for()
    shown = [button.get_attribute("data-goes") for button in table.locator("button").all()]
    assert shown == [json.dumps(not cell["errors"]) for cell in cells]
    refused = next(cell for cell in cells if cell["errors"])
    table.get_by_role("button", name=f"{refused['framework']} {refused['backend']}:").click()
    page.get_by_role("status").get_by_text(refused["errors"][0]["message"]).first.wait_for()
    table.get_by_role("button", name="megatron kubernetes:").click()
    page.get_by_role("button", name="Render files").click()
    request = {"job": first_job, "framework": "megatron", "backend": "kubernetes", **OPTIONS}
    files = {file["path"]: file["text"] for file in server.ask("/api/v1/deploy", request)["files"]}
    listed = page.get_by_role("list", name="Files").get_by_role("button")
    listed.first.wait_for()
    assert listed.all_inner_texts() == list(files)
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == files["run_training.sh"]
    keep_picture(page, "deploy-en")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download tar.gz").click()
    assert downloading.value.suggested_filename == "bundle.tar.gz"
    with tarfile.open(downloading.value.path()) as archive:
        kept = {name: archive.extractfile(name).read() for name in archive.getnames()}
    assert {name.removeprefix("bundle/"): text.decode() for name, text in kept.items()} == files
    for path, told in json.loads(files["metadata.json"])["files"].items():
        assert hashlib.sha256(kept[f"bundle/{path}"]).hexdigest() == told["sha256"]
    page.get_by_role("textbox", name="Steps").fill("2000")
    page.get_by_role("button", name="Render files").click()
    page.locator("[data-change=changed]").first.click()
    page.get_by_text("Changes", exact=True).click()
    page.locator("[data-testid=file] [data-kind=added]").first.wait_for()


def test_what_costs_money_must_be_typed(open_page, server):
    page = open_page("/deploy")
    page.get_by_role("button", name="Render files").click()
    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    send = dialog.get_by_role("button", name="Confirm deployment")
    assert send.is_enabled()
    dialog.get_by_text("Start it").click()
    dialog.get_by_text("This costs money").wait_for()
    assert send.is_disabled()
    dialog.get_by_role("textbox", name="Type megatron-kubernetes").fill("megatron-kubernetes")
    assert send.is_enabled()
    dialog.get_by_text("Keep the files").click()
    send.click()
    page.wait_for_url("**/tasks/task-*")
    task = server.ask(f"/api/v1/training-tasks/{page.url.rpartition('/')[2]}")
    assert (task["launch_mode"], task["framework"], task["num_gpus"]) == ("export", "megatron", 64)
