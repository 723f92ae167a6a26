"""Charts in a real browser: they are drawn, react, and run no script of a name.

With ``CHART_PICTURES=directory`` in the environment, the screenshots are kept, to look at them.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from runlake.charts import html
from runlake.charts.chart import Chart
from runlake.charts.series import Axis, Band, Series

SCRIPTS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<!--<script>",
    "\"'`><svg onload=alert(3)>",
    "${alert(4)}",
    "javascript:alert(5)",
    "a\u2028b",
    "]]>--></style><script>alert(6)</script>",
]
# Pixels of the canvas that are not empty.
COUNT_PIXELS = """
(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
  return n;
}
"""


def curve(n_rows=3_000, seed=0):
    noise = np.random.default_rng(seed).normal(0, 0.05, n_rows)
    return np.exp(-np.arange(n_rows) / (600 + 40 * seed)) + noise + 0.2


def frame_of(**columns):
    n_rows = len(next(iter(columns.values())))
    return pl.DataFrame({"_step": range(n_rows), **columns})


def odd_values():
    values = curve()
    values[500:900] = np.nan
    values[1_500] = np.inf
    values[2_000] = -np.inf
    values[2_500] = -0.5
    return frame_of(loss=values, acc=1 - curve(seed=3))


def groups():
    found = []
    for at, lr in enumerate((0.1, 0.01)):
        mean = curve(400, at)
        mean[100:130] = np.nan
        table = frame_of(loss=mean)
        n_nan = pl.Series([0] * 300 + [1] * 100)
        band = Band(pl.Series(mean - 0.2), pl.Series(mean + 0.2), n_nan)
        found.append(Series(table, "loss", run=f"lr={lr} (5 runs)", band=band))
    return Chart(tuple(found))


def many():
    table = frame_of(**{f"layer{at}/weight.norm": curve(500, at) + at / 4 for at in range(20)})
    return Chart.of_frame(table, table.columns[1:], run="twenty curves")


def times():
    rows = {"_timestamp": 1.7e9 + np.arange(500) * 60, "_step": range(500), "loss": curve(500)}
    return Chart.of_frame(pl.DataFrame(rows), "loss", x="_timestamp")


PICTURES = {
    "plain": lambda: Chart.of_frame(frame_of(loss=curve(), acc=1 - curve()), ["loss", "acc"]),
    "odd": lambda: Chart.of_frame(odd_values(), ["loss", "acc"]),
    "smooth": lambda: replace(Chart.of_frame(odd_values(), "loss"), smooth=0.98),
    "log": lambda: replace(Chart.of_frame(odd_values(), "loss"), y=Axis(scale="log")),
    "groups": groups,
    "many": many,
    "times": times,
    "names": lambda: Chart.of_frame(
        frame_of(**{name: curve(seed=at) for at, name in enumerate(SCRIPTS)}), SCRIPTS
    ),
    "one": lambda: Chart.of_frame(frame_of(loss=[0.5]), "loss"),
    "nothing": lambda: Chart.of_frame(frame_of(loss=[1.0, 2.0]).clear(), "loss"),
    "all nan": lambda: Chart.of_frame(frame_of(loss=[np.nan, np.nan]), "loss"),
    "negative log": lambda: replace(
        Chart.of_frame(frame_of(loss=[-1.0, -2.0]), "loss"), y=Axis(scale="log")
    ),
    "tiny": lambda: Chart.of_frame(frame_of(loss=np.linspace(1, 2, 50) * 1e-7), "loss"),
    "huge": lambda: Chart.of_frame(frame_of(loss=[1e249, -1e249, 1e308, 5.0]), "loss"),
    "constant": lambda: Chart.of_frame(frame_of(loss=[7.0] * 40), "loss"),
    "late steps": lambda: Chart.of_frame(
        pl.DataFrame({"_step": 2**40 + np.arange(500) * 7, "loss": curve(500)}), "loss"
    ),
    "log x": lambda: replace(Chart.of_frame(odd_values(), "acc"), x=Axis("_step", "log")),
}


def keep(page, name):
    directory = os.environ.get("CHART_PICTURES")
    if directory:
        page.screenshot(path=Path(directory) / f"{name}.png")


@pytest.mark.smoke
def test_a_chart_is_drawn_and_reacts_and_runs_no_script_of_a_name(open_html):
    opened = open_html(html.document([PICTURES["names"]().drawing] * 2))
    page = opened.page
    assert page.locator("canvas").first.evaluate(COUNT_PIXELS) > 1_000
    assert [one.text_content() for one in page.locator("figure:first-child .legend b").all()] == [
        name.replace("\u2028", "\\u2028") for name in SCRIPTS
    ]
    first = page.locator(".legend button").first
    before = page.locator("canvas").first.evaluate(COUNT_PIXELS)
    for button in page.locator("figure:first-child .legend button").all()[1:]:
        button.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert page.locator("canvas").first.evaluate(COUNT_PIXELS) < before
    assert opened.wrongs == []
    assert page.evaluate("document.scripts.length") == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_chart_is_drawn(open_html, name, scheme):
    opened = open_html(PICTURES[name]().html(), scheme)
    n_pixels = opened.page.locator("canvas").evaluate(COUNT_PIXELS)
    assert n_pixels > 100 or name == "nothing"
    keep(opened.page, f"{name}-{scheme}".replace(" ", "-"))
    assert opened.wrongs == []


def test_a_frame_in_a_notebook_is_closed_off(open_html):
    opened = open_html(f"<!doctype html><p>before</p>{PICTURES['names']()._repr_html_()}")
    frame = opened.page.frame_locator("iframe")
    assert frame.locator("canvas").evaluate(COUNT_PIXELS) > 1_000
    assert frame.locator("figure").evaluate("() => window.origin") == "null"
    assert opened.page.evaluate("document.querySelector('iframe').contentDocument") is None
    keep(opened.page, "frame")
    assert opened.wrongs == []


def test_zoom_log_axis_and_keys(open_html):
    opened = open_html(PICTURES["odd"]().html())
    page = opened.page
    box = page.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    keep(page, "zoomed")
    page.mouse.move(box["x"] + 5, box["y"] + 50)
    shown = page.locator("figcaption output").text_content()
    assert shown.startswith("_step: 7")
    assert page.locator(".legend output").first.text_content() == "NaN"
    page.mouse.dblclick(box["x"] + 50, box["y"] + 50)
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    assert page.locator("figcaption output").text_content().startswith("_step: 299")
    page.get_by_role("button", name="log").click()
    assert "≤ 0" in page.locator(".notes").text_content()
    keep(page, "toggled-log")
    page.locator("figure").focus()
    for key in ("+", "ArrowRight", "ArrowRight", "Escape"):
        page.keyboard.press(key)
    assert opened.wrongs == []


def test_a_log_axis_of_x_is_zoomed_out(open_html):
    frame = pl.DataFrame({"_step": [1, 10, 1_000], "loss": [1.0, 2.0, 3.0]})
    opened = open_html(Chart((Series(frame, "loss"),), x=Axis("_step", "log")).html())
    opened.page.locator("figure").focus()
    for key in ("-", "-", "ArrowRight", "+"):
        opened.page.keyboard.press(key)
    assert opened.page.locator("figcaption output").text_content().startswith("_step: 1")
    assert opened.wrongs == []


def test_times_that_no_calendar_has_are_drawn_as_numbers(open_html):
    # In nanoseconds.
    frame = pl.DataFrame({"_timestamp": [1.7e18, 1.7e18 + 1e6], "loss": [1.0, 2.0]})
    opened = open_html(Chart.of_frame(frame, "loss", x="_timestamp").html())
    assert opened.page.locator("canvas").count() == 1
    assert opened.wrongs == []


def test_a_page_is_asked_for_finer_points_and_draws_them(open_html):
    chart = replace(Chart.of_frame(odd_values(), "acc"), points=100)
    opened = open_html(chart.html())
    page = opened.page
    payloads = {
        "all": html.payload_of(chart.drawing),
        "near": html.payload_of(chart.within(1_000, 1_200).drawing),
    }
    asked = page.evaluate(
        """async ({ all, near }) => {
          // uPlot draws after the running script.
          const pause = () => new Promise((resume) => setTimeout(resume, 20));
          const ranges = [];
          const drawn = runlakeCharts.draw(document.querySelector("figure"), all, (range) => {
            ranges.push(range);
            drawn.update(range ? near : all);
          });
          drawn.plot.setScale("x", { min: 1000, max: 1200 });
          await pause();
          const n = drawn.xs.length;
          drawn.showAll();
          await pause();
          return [ranges, n, drawn.xs.length];
        }""",
        payloads,
    )
    assert asked == [[[1000, 1200], None], 100, 100]
    assert opened.wrongs == []


def test_the_crosshair_is_linked_across_the_charts_of_a_document(open_html):
    drawings = [Chart.of_frame(odd_values(), key).drawing for key in ("loss", "acc")]
    opened = open_html(html.document(drawings, "two charts"))
    page = opened.page
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    places = [one.text_content() for one in page.locator("figcaption output").all()]
    # Each chart shows the point nearest to the crosshair, and they have different points.
    first, second = (int(place.removeprefix("_step: ")) for place in places)
    assert abs(first - second) < 5
    assert 1_000 < first < 2_000
    keep(page, "linked")
    assert opened.wrongs == []
