"""Who sees little or uses no pointer can use every page: what axe finds serious fails."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
AXE = Path(__file__).resolve().parents[3] / "web/node_modules/axe-core/axe.min.js"
PAGES = sorted(path.parent.name for path in Path(__file__).resolve().parents[3].glob("web/src/pages/*/page.ts"))
RUN = """async () => {
  const found = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] });
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}"""


def serious(page):
    """What axe-core finds on a page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault(open_page, scheme):
    page = open_page("/plan", scheme=scheme)
    page.locator("[data-testid=headline][data-stale=false]").wait_for()
    faults = {}
    for name in PAGES:
        page.locator(f"nav a[href^='/{name}']").click()
        page.wait_for_load_state("networkidle")
        faults |= {name: found} if (found := serious(page)) else {}
    assert not faults


@pytest.mark.parametrize("view", ["Guide", "YAML"])
def test_no_form_of_the_job_has_a_serious_fault(open_page, view):
    page = open_page("/plan")
    page.get_by_text(view, exact=True).click()
    page.locator("form button[type=submit], textarea").first.wait_for()
    assert not serious(page)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(open_page, server, width):
    page = open_page("/plan", width=width)
    page.locator("[data-testid=headline]").wait_for()
    wide = []
    for name in PAGES:
        page.goto(f"{server.url}/{name}")
        page.get_by_role("heading", level=1).wait_for()
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(name)
    assert not wide
