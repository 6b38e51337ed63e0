"""The page in a real browser, on a real running network: every view, by mouse and keyboard, on a desk and on a phone.

With P2PNET_LONG_TESTS=1 there are sixteen agents, what the page costs is measured, and the pictures in docs/figures are
made anew.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright", reason="no playwright: the page is tested in no browser")
pytest.importorskip("axe_playwright_python", reason="no axe: the page is tested in no browser")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect, sync_playwright

from p2pnet.experiments.demo.page import ServedPage, served_page
from p2pnet.testing import Fleet
from tests.page.running import running_demo

IS_LONG = os.environ.get("P2PNET_LONG_TESTS") == "1"
N_AGENTS = 16 if IS_LONG else 4
DATA, N_CLASSES = ("digits", 10) if IS_LONG else ("iris", 3)
FIGURES = Path(__file__).parents[2] / "docs" / "figures"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1360, "height": 900}
PATIENCE_MS = 20_000

pytestmark = pytest.mark.timeout(900 if IS_LONG else 180)


@dataclass(frozen=True)
class Running:
    fleet: Fleet
    page: ServedPage
    n_links: int
    n_neighbors: int


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    topology = "random" if IS_LONG else "ring"
    directory = tmp_path_factory.mktemp("fleet")
    pace_s = 0.25 if IS_LONG else 0.1
    with (
        running_demo(directory, N_AGENTS, DATA, topology=topology, pace_s=pace_s) as (fleet, workload),
        served_page(fleet[0].files.config) as page,
    ):
        yield Running(fleet, page, len(workload.edges), sum(0 in edge for edge in workload.edges))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that playwright has installed."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium
        own = next(
            (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
        )
        try:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = chromium.launch(executable_path=own, args=arguments)
        except Error:
            pytest.skip("no browser: neither Debian's chromium nor that of `playwright install chromium` is there")
        yield browser
        browser.close()


Opening = Callable[..., Page]


@pytest.fixture
def opening(browser: Browser, running: Running) -> Iterator[Opening]:
    """Opens the page anew; no message of the browser's console may be an error, a breach of the policy among them."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def open_page(viewport: dict[str, int] = DESK, **options: Any) -> Page:
        context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(running.page.address)
        expect(page.get_by_role("heading", level=1)).to_have_text(running.fleet[0].name, timeout=PATIENCE_MS)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def rows(page: Page, view: str) -> Locator:
    return page.locator(f"#{view} tbody tr")


def test_the_token_does_not_stay_in_the_address(opening: Opening) -> None:
    assert "token" not in opening().url


def test_at_a_glance(opening: Opening) -> None:
    page = opening()
    figures = page.locator("#summary .figures > div")
    expect(figures).to_have_count(8)
    assert [figure.locator("dt").inner_text() for figure in figures.all()] == [
        *("Round", "Objective", "Test metric", "Residual", "Disagreement", "Neighbors", "Sent", "Running"),
    ]
    for figure in figures.all():
        expect(figure.locator(".value")).to_have_text(re.compile(r"\d"))
    expect(page.locator("#agent-state")).to_have_text(re.compile("training|converged, idle"))


def test_the_network_is_a_graph_with_all_agents_and_links(opening: Opening, running: Running) -> None:
    page = opening()
    expect(page.locator("#network .node")).to_have_count(N_AGENTS, timeout=PATIENCE_MS)
    expect(page.locator("#network .edges line")).to_have_count(running.n_links, timeout=PATIENCE_MS)
    names = {name.text_content() for name in page.locator("#network .node text:not(.figure)").all()}
    assert names == {agent.name for agent in running.fleet.agents}
    label = page.get_by_role("img", name=re.compile(f"Graph of {N_AGENTS} agents, {running.n_links} links"))
    expect(label).to_be_visible()
    for shape in page.locator("#network .node .shape").all():
        assert shape.get_attribute("data-stage") in ("training", "ended", "waiting", "silent")
        assert shape.get_attribute("data-step") in ("0", "1", "2", "3", "4", "unknown")
    for stage in ("training", "converged", "waiting", "not heard of"):
        expect(page.locator("#network .legend", has_text=stage)).to_be_visible()
    page.locator("#network .node", has_text="agent-2").first.hover(force=True)
    expect(page.locator("#network .graph-note")).to_contain_text("linked with")


def test_agents_stay_where_they_are(opening: Opening) -> None:
    page = opening(reduced_motion="reduce")
    expect(page.locator("#network .node")).to_have_count(N_AGENTS, timeout=PATIENCE_MS)

    def places() -> list[str | None]:
        return [node.get_attribute("transform") for node in page.locator("#network .node").all()]

    page.wait_for_timeout(300)
    before = places()
    page.wait_for_timeout(2500)
    assert places() == before


def test_curves_by_round_and_by_time(opening: Opening) -> None:
    page = opening()
    figures = page.locator("#training figure")
    titles = ["Objective", "Test metric", "Residual", "Disagreement"]
    assert [figure.locator(".name").inner_text() for figure in figures.all()] == titles
    expect(page.locator("#training canvas")).to_have_count(4, timeout=PATIENCE_MS)
    for figure in figures.all():
        expect(figure.locator(".value")).to_have_text(re.compile(r"\d"))
        expect(figure.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"from .+ in round \d+ to"))
    painted = page.evaluate(
        """() => [...document.querySelectorAll("#training canvas")].map((canvas) => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.some((value, k) => k % 4 === 3 && value > 0);
        })"""
    )
    assert painted == [True] * 4
    where = figures.first.locator(".note")
    expect(where).to_have_text(re.compile(r"^round \d+"))
    page.get_by_label("by time").check(force=True)
    expect(where).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    page.keyboard.press("ArrowLeft")
    expect(where).to_have_text(re.compile(r"^round \d+"))


def test_the_table_of_agents_is_sorted_by_whichever_column(opening: Opening) -> None:
    page = opening()
    expect(rows(page, "agents")).to_have_count(N_AGENTS, timeout=PATIENCE_MS)

    def column(k: int) -> list[str]:
        return [row.locator("th, td").nth(k).inner_text() for row in rows(page, "agents").all()]

    assert [name.split("\n")[0].strip() for name in column(0)][:2][0].startswith("agent-1")
    assert all(version == page.locator("#footer").inner_text().split()[1] for version in column(10))
    name = page.locator("#agents thead th", has_text="Agent")
    expect(name).to_have_attribute("aria-sort", "ascending")
    button = name.get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-sort", "descending")
    assert column(0)[0].startswith(f"agent-{N_AGENTS}")
    page.locator("#agents thead th", has_text="Links").get_by_role("button").click()
    links = [int(text) for text in column(7)]
    assert links == sorted(links, reverse=True)
    rows(page, "agents").first.get_by_role("button").focus()
    expect(page.locator("#network .graph-note")).to_contain_text("linked with")


def test_bytes_by_link(opening: Opening, running: Running) -> None:
    page = opening()
    expect(rows(page, "links")).to_have_count(running.n_neighbors, timeout=PATIENCE_MS)
    for row in rows(page, "links").all():
        cells = [cell.inner_text() for cell in row.locator("th, td").all()]
        assert cells[0].startswith("agent-")
        assert cells[1] in ("linked", "lagging")
        assert re.fullmatch(r"[\d.]+ (B|kB|MB)", cells[3])
        assert re.fullmatch(r"[\d.]+ (B|kB|MB)", cells[5])
    expect(page.locator("#links .aside")).to_have_text(re.compile(r"neighbors, .+/s both ways"))


def test_events_and_warnings(opening: Opening) -> None:
    page = opening()
    events = page.locator("#events li")
    expect(events.filter(has_text="training begins")).to_have_count(1, timeout=PATIENCE_MS)
    expect(events.filter(has_text="linked with").first).to_be_visible()
    page.get_by_label("warnings only").check()
    expect(events.filter(has_text="training begins")).to_have_count(0)


def test_layers_and_sparsity(opening: Opening) -> None:
    page = opening()
    expect(rows(page, "model")).to_have_count(2, timeout=PATIENCE_MS)
    cells = [cell.inner_text() for cell in rows(page, "model").first.locator("th, td").all()]
    assert cells[0] == "hidden 1"
    assert cells[1].endswith("→ 12")
    assert cells[3].endswith("%")
    assert cells[5].endswith("of 12")
    expect(page.locator("#model .aside")).to_contain_text("parameters")


def test_the_quality_of_each_class_on_this_site(opening: Opening) -> None:
    page = opening()
    expect(rows(page, "quality")).to_have_count(N_CLASSES, timeout=PATIENCE_MS)
    for row in rows(page, "quality").all():
        shares = [row.locator("td").nth(k).inner_text() for k in (1, 3, 5)]
        assert all(re.fullmatch(r"[\d.]+ %", share) for share in shares)
    expect(page.locator("#quality .metrics dt").first).to_have_text("accuracy")


def test_nothing_can_be_found_that_keeps_people_out(opening: Opening) -> None:
    """By axe, whose rules are those of WCAG and of good practice; light and dark, on a desk and on a phone."""
    for viewport in (DESK, PHONE):
        for scheme in ("light", "dark"):
            page = opening(viewport, color_scheme=scheme)
            expect(rows(page, "quality")).to_have_count(N_CLASSES, timeout=PATIENCE_MS)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_on_a_phone_all_stands_in_one_column(opening: Opening) -> None:
    page = opening(PHONE)
    expect(rows(page, "agents")).to_have_count(N_AGENTS, timeout=PATIENCE_MS)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    lefts = page.evaluate(
        "[...document.querySelectorAll('main > section')].map((one) => one.getBoundingClientRect().left)"
    )
    assert len(set(lefts)) == 1


def test_by_keyboard_alone(opening: Opening) -> None:
    page = opening()
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Skip to the views")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    seen = set()
    for _ in range(40 + 2 * N_AGENTS):
        page.keyboard.press("Tab")
        place = page.evaluate(
            """() => {
                const element = document.activeElement;
                const shown = element.matches("input") ? element.nextElementSibling ?? element : element;
                return [element.closest("section")?.id ?? "", getComputedStyle(shown).outlineStyle];
            }"""
        )
        seen.add(place[0])
        if place[0] not in ("", "events"):
            assert place[1] != "none", f"the focus is not seen in {place[0]}"
    assert {"training", "agents", "links", "events", "model", "quality", "epochs"} <= seen


def test_light_dark_or_as_the_system_has_it(opening: Opening) -> None:
    page = opening(color_scheme="dark")

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = ground()
    page.get_by_role("button", name="Theme: auto").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    light = ground()
    assert light != dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert ground() == light
    page.get_by_role("button", name="Theme: light").click()
    assert ground() == dark


def test_the_first_paint_is_soon(opening: Opening) -> None:
    paints = opening().evaluate("performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)")
    assert len(paints) == 1
    assert paints[0] < 2000.0


@pytest.mark.skipif(not IS_LONG, reason="P2PNET_LONG_TESTS=1 measures what the page costs, and makes its pictures")
def test_what_it_costs_while_somebody_looks(opening: Opening, running: Running) -> None:
    page = opening()
    seconds = 60.0
    before = processor_s(running.page.pid)
    page.wait_for_timeout(1000 * seconds)
    share = (processor_s(running.page.pid) - before) / seconds
    assert share < 0.03, f"the page takes {100 * share:.1f} % of a core"
    for device, viewport in (("desk", DESK), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page = opening(viewport, color_scheme=scheme)
            expect(rows(page, "quality")).to_have_count(N_CLASSES)
            page.wait_for_timeout(3000)
            page.screenshot(path=FIGURES / f"page-{device}-{scheme}.png")
            if (device, scheme) == ("desk", "light"):
                page.screenshot(path=FIGURES / "page-desk-whole.png", full_page=True)


@pytest.mark.timeout(400)
def test_an_agent_that_goes_and_comes_back_and_an_epoch(opening: Opening, running: Running) -> None:
    page, fleet = opening(), running.fleet
    fleet.until(lambda: all((agent.files.state.path / "model.npz").is_file() for agent in fleet.agents), 300.0)
    expect(page.locator("#agent-state")).to_have_text("converged, idle", timeout=60_000)
    expect(rows(page, "epochs")).to_have_count(1)
    halve(fleet[1].directory / "samples.npz")
    expect(rows(page, "epochs")).to_have_count(2, timeout=60_000)
    expect(page.locator("#events li", has_text="epoch 1 begins")).to_have_count(1)
    expect(page.locator("#agent-state")).to_have_text("converged, idle", timeout=180_000)

    assert fleet[0].ask("checkpoint").returncode == 0  # so that it comes back as it was, and nobody trains on for it
    fleet.kill([0])
    expect(page.locator("#banner")).to_contain_text("The agent does not answer", timeout=PATIENCE_MS)
    expect(page.locator("#agent-state")).to_have_text("not running")
    expect(page.get_by_role("status")).to_contain_text("does not answer")
    expect(rows(page, "agents")).to_have_count(N_AGENTS)
    fleet.start([0])
    expect(page.locator("#banner")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.locator("#network .edges line")).to_have_count(running.n_links, timeout=60_000)
    expect(rows(page, "epochs")).to_have_count(2)


def halve(samples: Path) -> None:
    """Leave the first half of the rows."""
    with np.load(samples) as file:
        arrays: dict[str, Any] = dict(file)
    n_rows = len(arrays["y"])
    for name, array in arrays.items():
        if array.shape[:1] == (n_rows,):
            arrays[name] = array[: n_rows // 2]
    np.savez(samples, **arrays)


def processor_s(pid: int) -> float:
    """The processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
