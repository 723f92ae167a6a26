"""HTML of a chart: buffers, escapes, and what it says if uPlot is missing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from tests.chart_payloads import decoded

from runlake.charts import html
from runlake.charts.buffers import Buffers
from runlake.charts.chart import Chart
from runlake.charts.sparkline import sparkline

ODD_NAMES = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "a\u2028b\u2029c",
    "'; alert(1); '",
    "&lt;b&gt;",
    "\ud800 half",
    "^.*$",
    "loss\x1b[31m",
    "日本語 · $x_1$",
]


class Elements(HTMLParser):
    """Collects the elements of a document, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script" and self.scripts:
            self.scripts[-1] += data


def chart_of(*names, n_rows=3, run=""):
    values = {name: np.arange(n_rows) / (at + 1) for at, name in enumerate(names)}
    return Chart.of_frame(pl.DataFrame({"_step": range(n_rows), **values}), list(names), run=run)


needs_uplot = pytest.mark.skipif(
    bool(html.missing_files()), reason="uPlot is not in the work tree: python hatch_build.py"
)


def test_the_payload_has_every_point_in_little_endian_buffers():
    values = [1.5, float("nan"), float("inf"), -2.0]
    chart = Chart.of_frame(pl.DataFrame({"_step": [0, 5, 6, 2**30], "loss": values}), "loss")
    payload = html.payload_of(chart.drawing)
    (curve,) = payload["curves"]
    assert decoded(payload["buffers"][curve["x"]]).tolist() == [0, 5, 6, 2**30]
    np.testing.assert_array_equal(decoded(payload["buffers"][curve["y"]]), values)
    assert decoded(payload["buffers"][curve["marks"]]).tolist() == [0, 1, 2, 0]
    json.dumps(payload, allow_nan=False)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.1, 0.25], "f4"),
        ([1e9, 1e9 + 1], "f8"),
        ([1.0, 1e39], "f8"),
        ([1e-46, 1e-45], "f8"),
        ([np.nan, np.inf], "f4"),
        ([], "f4"),
    ],
)
def test_single_precision_is_used_where_it_changes_no_pixel(values, kind):
    buffers = Buffers()
    array = np.array(values)
    place = buffers.add(array)
    assert place == buffers.add(array)
    assert len(buffers.stored) == 1
    assert buffers.stored[0][0] == kind


def test_steps_keep_every_digit():
    buffers = Buffers()
    for values in (
        [2.0**24 + 1],
        [2.0**52 - 9, 2.0**52 - 4],
        [0.1, 1.7e9, 1.7e9 + 0.1],
        [0, 5],
        [],
    ):
        place = buffers.add_exact(np.array(values))
        assert decoded(buffers.stored[place]).tolist() == values
    assert [kind for kind, *_ in buffers.stored] == ["d4", "d4", "f8", "f4", "f4"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("is_missing", [False, True], ids=["drawn", "missing"])
def test_names_add_no_markup(name, is_missing, monkeypatch, tmp_path):
    if is_missing:
        monkeypatch.setattr(html, "UPLOT", tmp_path)
    elif html.missing_files():
        pytest.skip("uPlot is not in the work tree: python hatch_build.py")
    plain = Elements(chart_of("loss", "acc", run="run").html())
    # No column can have half of a character in its name, but the name of a run can.
    key = name.encode("utf-8", "replace").decode()
    odd = Elements(chart_of(key, "acc", run=name).html())
    assert odd.tags == plain.tags
    assert [n for n, _ in odd.attributes] == [n for n, _ in plain.attributes]
    odd.feed(chart_of(key, run=name)._repr_html_())
    assert odd.tags[len(plain.tags) :] == ["style", "iframe"]


@needs_uplot
def test_the_document_of_three_curves_is_small_and_needs_no_network():
    rows = 200_000
    values = np.random.default_rng(0).random((3, rows))
    frame = pl.DataFrame({"_step": range(rows), "a": values[0], "b": values[1], "c": values[2]})
    text = Chart.of_frame(frame, ["a", "b", "c"])._repr_html_()
    assert len(text.encode()) < 120_000
    assert re.findall(r"(?:src|href)=", text) == []
    assert "2,000 of" not in text
    assert "6,000 of 600,000 points" in text


@needs_uplot
def test_only_the_scripts_of_the_document_may_run():
    document = chart_of("loss").html()
    policy = re.search(r"script-src ([^\"]*)\"", document)
    assert policy is not None
    assert policy[1].count("'sha256-") == 2
    assert "unsafe-inline" not in policy[1]
    scripts = Elements(document).scripts
    assert json.loads(scripts[0])["title"] == "loss"


def test_without_uplot_the_document_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(html, "UPLOT", tmp_path)
    document = chart_of("loss").html()
    assert "uPlot, which is missing" in document
    assert "<svg" in document
    assert "3 points" in document
    assert Elements(document).scripts == []


def test_a_sparkline_marks_nan_and_has_no_names():
    frame = pl.DataFrame({"_step": range(4), "<b>": [0.0, float("nan"), 1.0, 2.0]})
    svg = sparkline(frame, "<b>")
    assert svg.startswith("<svg")
    assert 'class="marks"' in svg
    assert "<b>" not in svg
    assert "nan" not in svg
    assert sparkline(frame.clear(), "<b>").startswith("<svg")
    constant = pl.DataFrame({"_step": [1], "k": [1e308]})
    assert "inf" not in sparkline(constant, "k")
