"""The inventory on the screen: found, imported, changed, as the API says it."""

from __future__ import annotations

import re

import pytest

from crosszone import units

pytestmark = pytest.mark.slow


def test_the_inventory_is_narrowed_changed_and_imported(open_page, server, keep_picture):
    page = open_page("/environments", language="zh")
    totals = server.ask("/api/v1/environments")["totals"]
    shown = page.get_by_test_id("totals")
    for text in (str(totals["num_gpus"]), str(totals["num_cpus"]), units.format_bytes(totals["memory_bytes"])):
        shown.get_by_text(text, exact=True).first.wait_for()
    keep_picture(page, "environments-zh")
    page.get_by_role("combobox", name="GPU 型号").select_option("v100-sxm2-16gb")
    page.wait_for_url(re.compile("gpu=v100"))
    rows = page.get_by_role("region", name="开发环境").locator("tbody tr")
    rows.filter(has_text="cv-experiment-env").wait_for()
    page.locator("tbody tr").nth(1).wait_for(state="detached")
    rows.first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="镜像").fill("pytorch-2.13")
    dialog.get_by_role("button", name="保存").click()
    rows.filter(has_text="pytorch-2.13").wait_for()
    assert server.ask("/api/v1/environments/env-002")["image"] == "pytorch-2.13"
    page.get_by_role("button", name="清除").click()
    page.get_by_role("button", name="导入").click()
    dialog.get_by_role("textbox", name="文本").fill("name,zone,gpu\nfrom-a-file,beijing-b,4x H100\n")
    dialog.get_by_role("button", name="检查").click()
    dialog.get_by_text("新增 1 个").wait_for()
    dialog.get_by_role("button", name="导入").click()
    made = rows.filter(has_text="from-a-file")
    made.click()
    dialog.get_by_role("button", name="删除").click()
    dialog.get_by_role("button", name="确认删除").click()
    made.wait_for(state="detached")
    assert server.ask("/api/v1/environments")["totals"]["num_environments"] == totals["num_environments"]
