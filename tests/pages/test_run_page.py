"""The page of a run in a real browser: charts are drawn, searched, zoomed, and follow a run."""

import math
import time

import pytest
from tests.chromium import Opened
from tests.http_logging import LoggedRun
from tests.pages.serving import served
from tests.pages.test_run_data import ODD_KEYS, path_of, pulled_lake
from tests.server_process import wait_until

import runlake
from runlake.charts import html
from runlake.pages.run.live import FOLLOWERS
from runlake.pages.source import ApiSource, LakeSource

pytestmark = pytest.mark.skipif(
    bool(html.missing_files()), reason="uPlot is not in the work tree: python hatch_build.py"
)

N_KEYS = 120
DRAWN = "[data-state=drawn]"
IS_FILLED = """
() => [...document.querySelectorAll(".grid")].every((grid) => {
  const { top, bottom } = grid.getBoundingClientRect();
  return bottom < 0 || top > innerHeight || grid.children.length > 0;
})
"""
# Pixels of the curve's colour.
COUNT_PIXELS = """
(box) => {
  const canvas = box.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 0; i < data.length; i += 4) n += data[i] === 0x3b && data[i + 1] === 0x82;
  return n;
}
"""


@pytest.fixture(scope="module")
def pages(backend, tmp_path_factory):
    """The address of the pages over the backend."""
    folder = tmp_path_factory.mktemp("pages")
    settings = {"base_url": backend.base_url, "cache_dir": folder / "cache"}
    api = runlake.Api(settings, api_key=backend.api_key)
    with served(ApiSource(api)) as address:
        yield address


@pytest.fixture(scope="module")
def wide(backend):
    """A finished run of many keys; one of them has NaN and infinities."""
    odd = {10: math.nan, 11: math.nan, 20: math.inf, 30: -math.inf}
    rows = [
        {
            "_step": step,
            "_runtime": step / 2,
            "loss": odd.get(step, math.exp(-step / 100)),
            **{f"layer{at}/norm": step * at + 1.0 for at in range(N_KEYS)},
            **dict.fromkeys(ODD_KEYS, float(step)),
        }
        for step in range(200)
    ]
    return LoggedRun(backend, "wide", "pages-browser").log(*rows).finish()


@pytest.fixture(scope="module")
def long(backend):
    """A finished run of more steps than a chart has points."""
    rows = [{"_step": step, "loss": math.sin(step / 50) + 2} for step in range(6_000)]
    return LoggedRun(backend, "long", "pages-browser").log(*rows).finish()


@pytest.fixture
def open_page(chromium, pages):
    """A function that opens a page in a context of its own; nothing may go wrong on it."""
    opened = []

    def open_it(run, tab="", base=pages, **options):
        context = chromium.new_context(viewport={"width": 1000, "height": 700}, **options)
        page = context.new_page()
        opened.append((context, Opened(page, base)))
        page.goto(f"{base}{path_of(run)}{tab}")
        return page

    yield open_it
    for context, one in opened:
        context.close()
        assert one.wrongs == []


def cell(page, key):
    return page.locator(f".cell[data-key={as_css(key)}]")


def as_css(key):
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in key) + '"'


def drawn(page, key):
    one = cell(page, key)
    page.wait_for_selector("#charts[data-ready]")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function(IS_FILLED)
    while not one.count():
        # Cells far from the view do not exist.
        place = page.evaluate("scrollY")
        page.evaluate("scrollBy(0, innerHeight)")
        page.wait_for_function(IS_FILLED)
        assert page.evaluate("scrollY") > place or one.count(), f"no cell of {key!r}"
    one.scroll_into_view_if_needed()
    page.wait_for_selector(f".cell[data-key={as_css(key)}][data-state=drawn]")
    return one


def zoom(page, box, low, high):
    """Drag over a share of the width of a chart, and wait for its finer points."""
    area = box.locator(".u-over").bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * low, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * high, middle, steps=4)
    page.mouse.up()
    box.page.wait_for_selector("[data-state=zoomed]")


def test_charts_are_drawn_near_the_view_and_freed_far_from_it(open_page, wide):
    page = open_page(wide)
    drawn(page, "loss")
    last = cell(page, f"layer{N_KEYS - 1}/norm")
    for at in range(0, N_KEYS, 10):
        drawn(page, f"layer{at}/norm")
    drawn(page, f"layer{N_KEYS - 1}/norm")
    wait_until(lambda: page.locator(DRAWN).count() < 40)
    assert cell(page, "loss").locator("canvas").count() == 0
    assert last.evaluate(COUNT_PIXELS) > 20
    page.evaluate("scrollTo(0, 0)")
    drawn(page, "loss")


def test_every_odd_key_has_a_drawn_chart_with_its_name(open_page, wide):
    page = open_page(wide)
    for key in ODD_KEYS:
        box = drawn(page, key)
        assert box.evaluate(COUNT_PIXELS) > 20
        assert box.locator("figcaption span").text_content() == key


@pytest.mark.smoke
def test_nan_and_infinities_are_marked(open_page, wide):
    page = open_page(wide)
    notes = drawn(page, "loss").locator(".notes").text_content()
    assert notes.startswith("200 points")
    for word in ("2 NaN", "1 infinity", "1 -infinity"):
        assert word in notes


def test_a_search_shows_only_matching_keys(open_page, wide):
    page = open_page(wide)
    drawn(page, "loss")
    page.get_by_label("Search keys").fill("layer1* norm")
    page.wait_for_selector("#found:has-text('of')")
    shown = page.locator(".cell:visible")
    keys = shown.evaluate_all("boxes => boxes.map((box) => box.dataset.key)")
    assert keys
    assert all(key.startswith("layer1") for key in keys)
    page.get_by_label("Search keys").fill("no such key")
    page.wait_for_selector("#reason:has-text('No key matches')")
    page.reload()
    assert page.get_by_label("Search keys").input_value() == "no such key"


def test_pinned_keys_come_first_and_stay(open_page, wide):
    page = open_page(wide)
    drawn(page, "layer2/norm").get_by_role("button", name="Pin").click()
    assert page.locator(".group .cell").first.get_attribute("data-key") == "layer2/norm"
    page.reload()
    page.wait_for_selector(DRAWN)
    assert page.locator("summary").first.text_content() == "Pinned (1)"


def test_a_zoom_reads_finer_points(open_page, long):
    page = open_page(long)
    box = drawn(page, "loss")
    assert box.locator(".notes").text_content() == "1,000 of 6,000 points"
    zoom(page, box, 0.5, 0.6)
    notes = box.locator(".notes").text_content()
    n_points = int(notes.partition(" point")[0].replace(",", ""))
    assert 500 < n_points < 700
    area = box.locator(".u-over")
    area.dblclick()
    page.wait_for_selector(DRAWN)
    assert box.locator(".notes").text_content() == "1,000 of 6,000 points"


def test_a_chart_is_zoomed_by_keys(open_page, long):
    page = open_page(long)
    box = drawn(page, "loss")
    box.locator("figure").focus()
    page.keyboard.press("+")
    page.wait_for_selector("[data-state=zoomed]")
    page.keyboard.press("Escape")
    page.wait_for_selector(DRAWN)


def test_log_smoothing_and_axis_are_in_the_address(open_page, wide):
    page = open_page(wide)
    box = drawn(page, "layer3/norm")
    page.get_by_role("button", name="Log y").click()
    assert box.locator(".switch").get_attribute("aria-pressed") == "true"
    page.get_by_label("Smoothing").fill("0.9")
    page.wait_for_selector(".cell .notes:has-text('weight 0.9')")
    page.get_by_label("x axis").select_option("_runtime")
    wait_until(lambda: "x=_runtime" in page.url)
    assert "smooth=0.9" in page.url
    assert "log=1" in page.url
    page.reload()
    page.wait_for_selector(".cell .notes:has-text('weight 0.9')")
    assert page.get_by_label("x axis").input_value() == "_runtime"


def test_pages_follow_a_running_run_with_one_follower(open_page, backend):
    run = LoggedRun(backend, "running", "pages-browser")
    run.log(*({"_step": step, "_runtime": step, "loss": 1.0} for step in range(5)))
    opened = [open_page(run) for _ in range(2)]
    for page in opened:
        drawn(page, "loss")
    wait_until(lambda: FOLLOWERS.n_running == 1)
    run.log({"_step": 5, "_runtime": 5.0, "loss": 0.5, "new": 3.0})
    for page in opened:
        page.wait_for_selector(".cell[data-key=loss][data-points='6']")
        assert cell(page, "loss").locator(".notes").text_content() == "6 points"
    page = opened[0]
    page.wait_for_selector(".cell[data-key=new][data-state=drawn]")
    run.log({"_step": 6, "_runtime": 6.0, "loss": math.nan}).finish()
    page.wait_for_selector(".state[data-state=finished]")
    page.wait_for_selector(".cell[data-key=loss] .notes:has-text('7 points')")
    for one in opened:
        one.close()
    wait_until(lambda: FOLLOWERS.n_running == 0)


def test_a_follower_ends_with_the_last_page(open_page, backend):
    run = LoggedRun(backend, "left", "pages-browser").log({"_step": 0, "loss": 1.0})
    page = open_page(run)
    drawn(page, "loss")
    wait_until(lambda: FOLLOWERS.n_running == 1)
    page.close()
    wait_until(lambda: FOLLOWERS.n_running == 0)
    run.finish()


def test_pages_of_one_browser_share_a_connection(open_page, backend):
    run = LoggedRun(backend, "shared", "pages-browser").log({"_step": 0, "loss": 1.0})
    first = open_page(run)
    others = [first.context.new_page() for _ in range(8)]
    for page in others:
        page.goto(first.url)
    for page in [first, *others]:
        drawn(page, "loss")
    run.log({"_step": 1, "loss": 0.5})
    for page in [first, *others]:
        page.wait_for_selector(".cell[data-key=loss][data-points='2']")
    run.finish()
    first.wait_for_selector(".state[data-state=finished]")


def test_new_console_lines_appear(open_page, backend):
    run = LoggedRun(backend, "talks", "pages-browser")
    page = open_page(run, "/console")
    lines = ["2026-01-01T00:00:00 <b>first</b>"]
    run.stream({"files": {"output.log": {"offset": 0, "content": lines}}})
    page.wait_for_selector("#console p:has-text('<b>first</b>')")
    run.finish()


def test_values_are_searched(open_page, backend):
    run = LoggedRun(backend, "configured", "pages-browser", lr=0.1, net={"depth": 2}).finish()
    page = open_page(run, "/config")
    page.get_by_label("Search").fill("depth")
    page.wait_for_selector("#found:has-text('1 value')")
    assert page.locator("#values tbody tr:visible").text_content().strip() == "net.depth2"


@pytest.mark.smoke
def test_values_of_a_running_run_change_on_the_page(open_page, backend):
    run = LoggedRun(backend, "changing", "pages-browser")
    page = open_page(run, "/summary")
    assert "no summary" in page.locator(".empty").text_content()
    run.summarize({"best": 1.0, "last": 1.0})
    come_back_for(page, "#values th:text-is('best')")
    page.get_by_label("Search").fill("best")
    run.summarize({"best": 2.5, "last": 1.0}).finish()
    come_back_for(page, ".state[data-state=finished]")
    assert page.locator("#values tbody tr:visible").text_content().strip() == "best2.5"
    assert page.get_by_label("Search").evaluate("(box) => box === document.activeElement")


def come_back_for(page, selector):
    """Return to a tab until it shows what has changed, which takes seconds if one only waits."""

    def is_shown():
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(100)
        return page.locator(selector).count() > 0

    wait_until(is_shown)


def test_pulled_runs_are_shown_without_their_backend(open_page, backend, wide, tmp_path):
    lake = pulled_lake(backend, wide, tmp_path)
    with served(LakeSource(lake)) as address:
        page = open_page(wide, base=address)
        assert drawn(page, "loss").evaluate(COUNT_PIXELS) > 20
        page.close()


def test_a_long_console_and_many_keys_stay_usable(open_page, backend):
    keys = {f"group{at % 40}/key{at}": 1.0 for at in range(5_000)}
    run = LoggedRun(backend, "very-wide", "pages-browser")
    run.log(*({"_step": step, **keys} for step in range(3))).finish()
    page = open_page(run)
    page.wait_for_selector(DRAWN)
    for _ in range(40):
        page.mouse.wheel(0, 5_000)
        time.sleep(0.05)
    wait_until(lambda: page.locator(DRAWN).count() < 60)
