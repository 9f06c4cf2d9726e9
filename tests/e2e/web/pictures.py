"""Takes pictures of the user interface, with the data of a demonstration; needs `make web` first.

.venv/bin/python tests/e2e/web/pictures.py docs/images         those that the documentation shows
.venv/bin/python tests/e2e/web/pictures.py FOLDER --all        every page and tab, light and dark, wide and narrow
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from browsing import LOCALES, Server, chromium, demonstration
from jobs import with_job
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[3]
JOB = (ROOT / "examples/three-zones-china.yaml").read_text(encoding="utf-8")
WIDTH, HEIGHT, PHONE_WIDTH = 1280, 800, 390
REST_SECONDS = 0.9
"""For what moves to have come to rest."""
AT_REST = "() => !document.querySelector('.mantine-Skeleton-root, [data-stale=true], [aria-busy=true]')"
PATIENCE_SECONDS = 120.0
NUM_COLOURS = 256
"""Of a picture in the documentation: no difference is seen, and it is half as large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One page, made ready to be looked at."""

    address: str
    prepare: Callable[[Any], None] = lambda page: None
    height: int = HEIGHT
    """In the documentation; elsewhere the page is shown whole."""


def tab(place: int) -> Callable[[Any], None]:
    """Opens the tab at a place."""
    return lambda page: page.get_by_role("tab").nth(place).click()


def chosen(*names: str) -> Callable[[Any], None]:
    """Ticks the boxes of these names."""

    def choose(page: Any) -> None:
        for name in names:
            page.get_by_role("checkbox", name=name).check()
        page.locator("[data-testid=summary] data").nth(2).wait_for()

    return choose


def rendered(page: Any) -> None:
    """Lets the files of a bundle be made."""
    page.get_by_role("button", name="Render files").or_(page.get_by_role("button", name="生成文件")).click()
    page.locator("[data-testid=file]").wait_for()


ENVIRONMENTS = ("pytorch-dev-env", "llm-training-env", "nlp-research-lab")
SCENES = {
    "plan": Scene(address="/plan", height=900),
    "map": Scene(address="/map", height=760),
    "strategy": Scene(address="/strategy", height=1060),
    "strategy-time": Scene(address="/strategy", prepare=tab(1)),
    "strategy-others": Scene(address="/strategy", prepare=tab(2)),
    "strategy-changes": Scene(address="/strategy", prepare=tab(3)),
    "strategy-checks": Scene(address="/strategy", prepare=tab(4)),
    "strategy-guide": Scene(address="/strategy", prepare=tab(5)),
    "communication": Scene(address="/communication", height=900),
    "timeline": Scene(address="/timeline", height=720),
    "deploy": Scene(address="/deploy", prepare=rendered, height=1000),
    "tasks": Scene(address="/tasks"),
    "task": Scene(address="/tasks", prepare=lambda page: page.locator("tbody tr").first.click()),
    "create": Scene(address="/tasks/create", prepare=chosen(*ENVIRONMENTS), height=1000),
    "environments": Scene(address="/environments"),
    "compare": Scene(address="/compare"),
    "validation": Scene(address="/validation", height=900),
    "catalog": Scene(address="/catalog/gpus?name=h100-sxm5-80gb"),
    "catalog-models": Scene(address="/catalog/models?name=llama-3-8b"),
    "catalog-links": Scene(address="/catalog/links"),
    "help": Scene(address="/help"),
}
LOOKS = {
    "en-light": ("en", "light", WIDTH),
    "zh-dark": ("zh", "dark", WIDTH),
    "en-phone-dark": ("en", "dark", PHONE_WIDTH),
    "zh-phone": ("zh", "light", PHONE_WIDTH),
}
SHOWN = {
    **{f"plan-{language}": ("plan", language, "light") for language in LOCALES},
    **{f"map-{language}": ("map", language, "dark") for language in LOCALES},
    **{f"communication-{language}": ("communication", language, "light") for language in LOCALES},
    **{f"timeline-{language}": ("timeline", language, "dark") for language in LOCALES},
    **{f"strategy-{language}": ("strategy", language, "light") for language in LOCALES},
    **{f"deploy-{language}": ("deploy", language, "light") for language in LOCALES},
    "create-en": ("create", "en", "light"),
}
"""In the documentation: scene, language and colours."""


def main(folder: Path, *options: str) -> None:
    """What the documentation shows; with --all everything, as NAME-LOOK.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with demonstration(subprocess.DEVNULL) as server, sync_playwright() as playwright:
        browser = chromium(playwright)
        if "--all" in options:
            add_task(server)
            for name, scene in SCENES.items():
                for look, (language, scheme, width) in LOOKS.items():
                    page = opened(browser, server, scene.address, language, scheme, width, HEIGHT)
                    scene.prepare(page)
                    settle(page)
                    page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
                    page.close()
            return
        for name, (scene_name, language, scheme) in SHOWN.items():
            scene = SCENES[scene_name]
            page = opened(browser, server, with_job(scene.address, JOB), language, scheme, WIDTH, scene.height)
            scene.prepare(page)
            settle(page)
            reduced(Image.open(BytesIO(page.screenshot()))).save(folder / f"{name}.png", optimize=True)
            page.close()


def opened(browser: Any, server: Server, address: str, language: str, scheme: str, width: int, height: int) -> Any:
    """A page that has what it asked for."""
    page = browser.new_page(viewport={"width": width, "height": height}, locale=LOCALES[language], color_scheme=scheme)
    page.set_default_timeout(1000 * PATIENCE_SECONDS)
    page.goto(server.url + address)
    page.get_by_role("heading", level=1).wait_for()
    settle(page)
    return page


def settle(page: Any) -> None:
    """Wait until everything that was asked for is on the page, and nothing moves."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(AT_REST)
    page.wait_for_timeout(1000 * REST_SECONDS)


def reduced(picture: Image.Image) -> Image.Image:
    """The picture in few colours: the most frequent ones, and one of every hue that there is, stay what they are."""
    pixels = np.asarray(picture.convert("RGB"))
    colours, places, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts)
    hues = np.unique(colours[order] >> 5, axis=0, return_index=True)[1]
    first = np.sort(hues)[: NUM_COLOURS // 2]
    rest = np.setdiff1d(np.arange(len(order)), first)[: NUM_COLOURS - len(first)]
    kept = colours[order[np.concatenate([first, rest])]].astype(int)
    nearest = np.array([np.argmin(((kept - colour) ** 2).sum(axis=1)) for colour in colours.astype(int)], np.uint8)
    made = Image.fromarray(nearest[places.reshape(pixels.shape[:2])], "P")
    made.putpalette(kept.astype(np.uint8).tobytes())
    return made


def add_task(server: Server) -> None:
    """A task with a long name, so that there is one to look at."""
    config = {"enabled": True, "nodeIds": ["env-001", "env-003"], "framework": "fsdp"}
    asked = {"taskName": "llama-8b-预训练-两地三中心-2026-11", "modelId": "llama-3-8b", "distributedConfig": config}
    more = {"datasetId": "synthetic", "datasetVersionId": "1", "workload": {"sequence_length": 2048}}
    server.ask("/api/v1/training-tasks", {**asked, **more, "deployment": {"steps": 1000}})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
