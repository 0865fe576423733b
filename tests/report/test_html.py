"""The page: what it embeds, and how it behaves in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from explorer.report import wording
from explorer.report.html import as_html, content
from explorer.report.view import View, load, view_of
from explorer.result import Metric
from explorer.store import StudyData
from tests.report import studies
from tests.report.studies import record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&<b>"


@pytest.fixture
def evil() -> View:
    """User words that would run as code if the page let them."""
    metrics = {"accuracy": Metric(0.5), "latency_ms": Metric(1.0)}
    trials = (record(0, metrics, params={EVIL: EVIL}, flags=(EVIL,)), record(1, metrics, params={EVIL: "plain"}))
    objectives = [{"metric": "accuracy", "direction": "max"}, {"metric": "latency_ms", "direction": "min"}]
    return view_of(StudyData(Path("x"), {"study": EVIL, "objectives": objectives}, trials))


def embedded(page: str) -> dict[str, object]:
    match = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, flags=re.S)
    assert match is not None
    found: dict[str, object] = json.loads(match[1])
    return found


def test_the_page_embeds_the_view(view: View) -> None:
    page = as_html(view, pareto=True)
    assert embedded(page) == json.loads(json.dumps(content(view, pareto=True)))
    assert "Content-Security-Policy" in page


def test_the_page_tells_what_ran_where() -> None:
    units = {"macs": {"dla": 0.9}, "fallbacks": [{"layer": "n0", "reason": "too wide"}], "fell_back": 1}
    trial = record(0, {"accuracy": Metric(0.5), "latency_ms": Metric(1.0)}, units=units)
    objectives = [{"metric": "accuracy", "direction": "max"}, {"metric": "latency_ms", "direction": "min"}]
    told = content(view_of(StudyData(Path("x"), {"study": "s", "objectives": objectives}, (trial,))), pareto=True)
    where = "on a DLA (trial 0): 90% of the multiply-accumulates; on the GPU instead: n0 (too wide)"
    assert where in told["footnotes"]


def test_the_page_asks_for_nothing_outside_itself(view: View) -> None:
    page = as_html(view, pareto=True)
    own = page.replace(re.search(r"<script>/\*\*.*?</script>", page, flags=re.S)[0], "")  # type: ignore[index]
    assert not re.search(r"""(src|href)=["'](?!data:)|https?://|@import|url\(""", own)


def test_user_words_cannot_end_the_script(evil: View) -> None:
    page = as_html(evil, pareto=True)
    assert embedded(page)["name"] == EVIL
    assert "<script>alert" not in page
    assert "<img" not in page.split("<script>", 1)[0]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in which any console error, exception or request to the outside fails the test."""
    opened = browser.new_page(viewport={"width": 1300, "height": 950})
    messages: list[ConsoleMessage] = []
    errors: list[Error] = []
    requests: list[Request] = []
    opened.on("console", lambda message: messages.append(message))
    opened.on("pageerror", lambda error: errors.append(error))
    opened.on("request", lambda request: requests.append(request))
    yield opened
    opened.close()
    assert [m.text for m in messages if m.type in ("error", "warning")] == []
    assert errors == []
    assert [r.url for r in requests if not r.url.startswith(("file:", "data:", "blob:"))] == []


def show(page: Page, view: View, folder: Path, *, pareto: bool = True) -> None:
    path = folder / "front.html"
    path.write_text(as_html(view, pareto=pareto), encoding="utf-8")
    page.goto(path.as_uri())


def hover_front(page: Page) -> str:
    """Hover a point of the front; returns what the label says."""
    box = page.locator('#plot path.point[style*="stroke-width: 1.2px"]').last.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".hoverlayer .hovertext")
    label.wait_for()
    return label.text_content() or ""


@pytest.mark.browser
def test_points_are_drawn_and_hovering_tells_everything(page: Page, view: View, tmp_path: Path) -> None:
    show(page, view, tmp_path)
    page.locator("#plot .points path").first.wait_for()
    assert page.locator("#shown").inner_text() == f"50 of 50 trials shown, {len(view.front)} of them on the front"
    said = hover_front(page)
    assert "on the front" in said
    for part in ("prune ratio:", "runtime:", "batch:", "accuracy: 0.9", " ±0.014", "energy [mJ]:", "*", "parameters:"):
        assert part in said


@pytest.mark.browser
def test_filters_axes_and_sorting(page: Page, view: View, tmp_path: Path) -> None:
    show(page, view, tmp_path)
    int8 = [r for r in view.complete if r.params["precision"] == "int8"]
    for name in ("fp32", "bf16"):
        page.locator(".chips label", has_text=name).click()
    assert page.locator("#shown").inner_text().startswith(f"{len(int8)} of 50 trials shown")
    page.locator("input[type=range][name=accuracy]").first.fill("20")
    bound = sorted({r.metrics["accuracy"].value for r in view.complete})[20]
    left = [r for r in int8 if r.metrics["accuracy"].value >= bound]
    assert page.locator("#shown").inner_text().startswith(f"{len(left)} of 50 trials shown")
    page.get_by_label("table: front only").uncheck()
    assert page.locator("#table tbody tr").count() == len(left)
    page.get_by_label("front only", exact=True).check()
    assert page.locator("#table tbody tr").count() == sum(r.number in view.on_front for r in left)
    page.get_by_role("button", name="Reset filters").click()
    assert page.locator("#shown").inner_text().startswith("50 of 50")
    page.locator("th", has_text="energy").click()
    numbers = [int(text.rstrip("!")) for text in page.locator("#table tbody td:first-child").all_inner_texts()]
    assert numbers == [r.number for r in sorted(view.front, key=lambda r: r.metrics["energy_mj"].value)]
    for select, choice in (("#x", "latency_ms"), ("#y", "energy_mj"), ("#colour", "model_mb"), ("#colour", "batch")):
        page.select_option(select, choice)
    assert "latency [ms]" in (page.locator("#plot .xtitle").text_content() or "")
    page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.browser
def test_a_click_on_a_point_marks_its_row(page: Page, view: View, tmp_path: Path) -> None:
    show(page, view, tmp_path)
    page.locator("#plot .points path").first.wait_for()
    said = hover_front(page)
    page.mouse.down()
    page.mouse.up()
    page.locator("tr.chosen").wait_for()
    number = re.match(r"trial (\d+)", said)
    assert number is not None
    assert page.locator("tr.chosen td").first.inner_text() == number[1]


@pytest.mark.browser
def test_sections_tell_what_is_not_on_the_front_the_reference_and_the_method(page: Page, tmp_path: Path) -> None:
    trials = [*studies.walk(40), record(40, state="failed", reason="void: throttled")]
    show(page, load(studies.write(tmp_path / "x", trials, boards=studies.over_time())), tmp_path)
    rows = page.locator("#leftOut tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["", "void", "failed", "infeasible", "dominated"]
    assert "throttled: the board slowed itself down meanwhile" in rows[1]
    page.locator("#control .points path").first.wait_for()
    assert page.locator("#control .points path").count() == 40
    page.locator("#theme").click()
    page.locator("#control .points path").first.wait_for()
    assert "nothing has been measured twice" in page.locator("#method").inner_text()


@pytest.mark.browser
def test_a_doubtful_trial_has_its_reason_beside_it(page: Page, view: View, tmp_path: Path) -> None:
    show(page, view, tmp_path, pareto=False)
    row = page.locator("#table tbody tr", has=page.get_by_text("9!", exact=True))
    assert "unstable: its interval is wider" in (row.locator("td").first.get_attribute("title") or "")
    assert row.locator("td").last.inner_text() == "unstable"
    assert "unstable (trial 9): its interval is wider" in page.locator("#footnotes").inner_text()


@pytest.mark.browser
def test_the_probability_of_belonging_to_the_front_is_a_column(page: Page, view: View, tmp_path: Path) -> None:
    show(page, view, tmp_path)
    page.locator("th", has_text="on front").click()
    shown = page.locator("#table tbody tr td:nth-child(2)").all_inner_texts()
    assert sorted(shown) == sorted(wording.chance(view.probability(r)) for r in view.front)
    assert "probability of belonging to it: " in hover_front(page)


@pytest.mark.browser
def test_user_words_are_shown_and_not_run(page: Page, evil: View, tmp_path: Path) -> None:
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    show(page, evil, tmp_path)
    page.locator("#plot .points path").first.wait_for()
    assert page.locator("h1").inner_text() == EVIL
    assert page.locator("img").count() == 0
    assert "<img src=x" in hover_front(page)


@pytest.mark.browser
@pytest.mark.parametrize("count", [0, 1])
def test_small_studies_open_with_a_sentence(page: Page, tmp_path: Path, count: int) -> None:
    show(page, load(studies.write(tmp_path / "small", studies.walk(count))), tmp_path)
    said = page.locator("#notes").inner_text()
    assert ("No trial has been recorded yet", "Only one trial is complete")[count] in said
    assert page.locator("main").is_visible() == bool(count)
