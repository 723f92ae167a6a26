"""What notebooks show is escaped, limited in size, and complete where it fits."""

import math

import pytest
from tests.html_elements import HOSTILE, Elements, assert_safe

from runlake.notebook.bar import bar_html
from runlake.notebook.cards import facts_card, failed_card, hidden_behind
from runlake.notebook.cells import cell_text, flat
from runlake.notebook.markup import Room, card, element, html_of
from runlake.notebook.media import media_card, media_figure
from runlake.notebook.pictures import Picture
from runlake.notebook.plan_cards import plan_card, pull_card, scan_card
from runlake.notebook.run_cards import RunFacts, RunRow, run_card, runs_table
from runlake.notebook.sparkline import HEIGHT, WIDTH, Curve, sparkline
from runlake.notebook.trees import tree
from runlake.values import ProgressUpdate

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
HISTOGRAM = {"_type": "histogram", "values": [1] * 64, "bins": [b / 64 for b in range(65)]}


def run_of(name, **more):
    values = {name: name, "nested": {name: {"deep": [name, 1]}}, "_wandb": {}}
    return RunFacts(
        title=name,
        path=f"{name}/{name}/{name}",
        state=name,
        url=name,
        pairs=[("user", name), ("tags", name)],
        config=values,
        summary=values,
        curves=[Curve(name, [0, 1], [1.0, 2.0])],
        n_keys=1,
        pictures=[
            Picture(name, PNG),
            Picture(name, None, name),
            Picture(name, name.encode("utf-8", "replace")),
        ],
        notes=[name],
        **more,
    )


@pytest.mark.parametrize("name", [*HOSTILE, "half\ud800"])
def test_no_name_becomes_markup(name):
    rows = [RunRow(name, name, f"http://a/{name}", [name, {name: name}], None)]
    shown = [
        run_card(run_of(name)),
        card(*runs_table([name], name, rows, 3)),
        facts_card(name, [(name, name)], (), [name]),
        failed_card(name, name),
        plan_card(name, [name], [[name]], [name]),
        pull_card(name, [(name, name)], [name]),
        scan_card(name, [(name, name)], [{name: name}], [name]),
        hidden_behind(name, card()),
        bar_html(ProgressUpdate(1, 2, "runs", name)),
        media_card([media_figure(kind, name, name, PNG) for kind in ("image", "html", name)]),
    ]
    for one in shown:
        found = assert_safe(one)
        if name.isprintable() and not name.startswith(" "):
            assert name in found.text or name in str(found.seen)


def test_a_card_of_thousands_of_keys_is_small():
    values = {f"key{index:05}/{'<' * 40}": index * 0.1 for index in range(2000)}
    many = [Curve(f"<key{index}>", list(range(100)), [0.1] * 100) for index in range(2000)]
    nested: dict = {"deep": values}
    for _ in range(50):
        nested = {"deep": nested}
    run = RunFacts("r", "a/b/c", "running", "http://a", (), values, nested, many, 2000)
    shown = run_card(run)
    assert len(shown.encode()) < 100_000
    assert "more: run.config" in shown
    assert "more: run.keys()" in shown


def test_a_histogram_is_one_short_cell():
    shown = html_of(tree("summary", {"weights": HISTOGRAM}, Room(10_000), "run.summary"))
    assert len(shown) < 200
    assert "histogram: 64 bins, 0 to 1" in shown
    packed = {"_type": "histogram", "values": [1, 2], "packedBins": {"min": -1, "size": 0.5}}
    assert cell_text(packed) == "histogram: 2 bins, -1 to 0"
    packed["packedBins"] = {"min": 0.5, "size": 10**400}
    assert cell_text(packed) == "histogram: 2 bins"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (0.1 + 0.2, "0.3"),
        (True, "True"),
        (None, "None"),
        ([], "[]"),
        (list(range(1000)), "1,000 items: [0, 1, 2, 3, 4, 5, ...]"),
        ({}, "{}"),
        ({"a": {"b": {"c": 1}}}, "{a: {b: {1 entries}}}"),
        ({"_type": "images/separated", "count": 3, "width": 4, "height": 5}, "3 images 4 x 5"),
        ({"_type": "table-file", "nrows": 9, "ncols": 2}, "table 9 x 2"),
        ({"_type": "histogram", "values": None}, "histogram: 0 bins"),
        ({"_type": None, "a": 1}, "{_type: None, a: 1}"),
    ],
)
def test_every_value_is_one_short_line(value, expected):
    assert cell_text(value) == expected


def test_an_integer_that_python_does_not_print_is_described():
    assert cell_text(10**5000) == "an integer of some 5,001 digits"
    assert cell_text([-(10**18)]) == "[an integer of some 19 digits]"


def test_a_deep_mapping_is_flattened_to_a_limit():
    deep: dict = {}
    for _ in range(5000):
        deep = {"a": deep}
    (name, value), *others = flat(deep)
    assert name == ".".join(["a"] * 8)
    assert not others
    assert cell_text(value)
    assert html_of(tree("t", deep, Room(10_000), "run.config"))


def paths(drawn):
    return [attrs["d"] for attrs in Elements(html_of(drawn)).of("path")]


def test_a_curve_keeps_gaps_and_marks_what_is_not_finite():
    curve = Curve("a", [0, 1, 2, 3, 4], [1.0, 2.0, math.nan, 4.0, -math.inf])
    line, marks = paths(sparkline(curve))
    assert line.count("M") == 1
    assert marks.count("M") == 2
    assert len(Elements(html_of(sparkline(curve))).of("circle")) == 1


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [2.0, 2.0], [math.nan], [1e308, -1e308], [5e-324, 0.0], [math.inf, 1.0, 2.0]],
)
def test_every_curve_stays_in_its_picture(values):
    drawn = Elements(html_of(sparkline(Curve("k", list(range(len(values))), values))))
    for attrs in drawn.of("path"):
        for point in (attrs["d"] or "").replace("M", "L").split("L")[1:]:
            x, y = (float(part) for part in point.partition("v")[0].split())
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_long_curve_keeps_its_ends():
    drawn = sparkline(Curve("k", list(range(10_001)), [float(n) for n in range(10_001)]))
    (line,) = paths(drawn)
    assert line.startswith("M2 20L")
    assert line.endswith(f"L{WIDTH - 2} 2")
    assert len(line) < 1500


def test_a_page_runs_no_scripts_in_its_frame():
    content = b"<script>parent.document.title = 'x'</script><img src='http://a/b.png'>"
    (frame,) = Elements(media_card([media_figure("html", "a.html", "", content)])).of("iframe")
    assert frame["sandbox"] == ""
    assert (frame["srcdoc"] or "").startswith('<meta http-equiv="Content-Security-Policy"')


def test_a_page_is_shown_as_it_was_logged():
    page = "<p>one</p>\r\n<p>\u200f\u05d0 \x0c</p>"
    (frame,) = Elements(html_of(media_figure("html", "a.html", "", page.encode()))).of("iframe")
    assert (frame["srcdoc"] or "").endswith(page)


def test_only_raster_images_are_pictures_of_a_card():
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    shown = run_card(RunFacts("r", "a/b/c", "x", "http://a", pictures=[Picture("p", svg)]))
    assert not Elements(shown).of("img")
    assert "not an image" in Elements(shown).text


def test_a_card_has_both_themes():
    shown = card(element("p", "text"))
    assert "prefers-color-scheme:dark" in shown
    assert "[data-jp-theme-light=false]" in shown
