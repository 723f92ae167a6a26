"""What the page of a project makes of its URL, and of what is typed into its forms."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from runlake.errors import InvalidArgument
from runlake.pages.project.cells import shown_value
from runlake.pages.project.colors import PALETTE, color_of_run, looks_of
from runlake.pages.project.columns import default_columns, grouped_keys, keys_to_draw
from runlake.pages.project.compare import compared, frame_of
from runlake.pages.project.conditions import condition, escaped_pattern, parse_filter, search_filter
from runlake.pages.project.listing import RunRow
from runlake.pages.project.parallel import default_axes, picture_of
from runlake.pages.project.python_line import plot_line, table_line
from runlake.pages.project.view import ProjectView, is_canonical

ODD = ["a b&c=d", "x/y?z#%", "'\"<script>", "ünï/😀", "+plus", " "]


def view_of(query):
    return ProjectView.from_query("team", "proj", QueryParams(query))


def row_of(run_id, config=None, summary=None, **fields):
    return RunRow(run_id, f"name {run_id}", {"name": run_id, **fields}, config or {}, summary or {})


def test_a_view_is_the_same_after_its_url_was_written_and_read():
    view = ProjectView(
        "team",
        "proj",
        filter='{"config.lr": {"$gt": 0.1}}',
        search="a&b",
        order="+config.lr",
        page=3,
        per_page=25,
        column=("config.a/b", "summary.val/loss"),
        run=tuple(ODD[:3]),
        by=("config.lr",),
        band="min-max",
        smooth="0.9",
        log="y",
    )
    assert view_of(view.query()) == view
    assert ProjectView("team", "proj").query() == ""


@given(st.lists(st.text(min_size=1), max_size=5, unique=True))
def test_any_name_of_a_column_survives_the_url(names):
    names = [one for one in names if one.encode("utf-8", "ignore").decode() == one]
    view = ProjectView("team", "proj", column=tuple(names))
    assert view_of(view.query()).column == tuple(names)


def test_wrong_numbers_of_pages_are_the_first_page_and_a_bare_plus_is_no_space():
    assert view_of("page=x&per_page=-3").page == 1
    assert view_of("page=0").page == 1
    assert view_of("page=99999999999999").page == 1_000_000
    assert view_of("per_page=99999").per_page == 1_000
    assert view_of("order=+config.lr").order == "+config.lr"


def test_what_only_the_form_sends_is_not_in_the_address_of_a_view():
    assert is_canonical(QueryParams("search=a"), ("where",))
    assert not is_canonical(QueryParams("search="), ("where",))
    assert not is_canonical(QueryParams("where=state"), ("where",))


@pytest.mark.parametrize("text", ['{"state": "finished"}', "{'state': 'finished'}", " \n"])
def test_a_filter_may_be_json_or_python(text):
    assert parse_filter(text) == ({"state": "finished"} if text.strip() else {})


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[1]", "5", "null", "__import__('os')", "{" * 50_000, "[" * 5_000, "{1: {2}}"),
        *("{[]: 1}", "{{}: 1}", "{{1: 2}, 3}"),
    ],
)
def test_a_wrong_filter_is_an_error_of_the_visitor(text):
    with pytest.raises(InvalidArgument, match=r"filter|JSON"):
        parse_filter(text)


def test_conditions_of_the_form_become_filters():
    assert condition("config.lr", "lt", "1e-3") == {"config.lr": {"$lt": 0.001}}
    assert condition("config.opt", "eq", "adam") == {"config.opt": "adam"}
    assert condition("config.opt", "eq", '"1"') == {"config.opt": "1"}
    assert condition("summary.loss", "exists", "") == {"summary_metrics.loss": {"$exists": True}}
    assert condition("name", "eq", "12") == {"displayName": "12"}
    assert condition("config.x", "eq", "NaN") == {"config.x": "NaN"}
    assert condition("name", "contains", "a.b") == {"displayName": {"$regex": r"(?i)a\.b"}}
    with pytest.raises(InvalidArgument):
        condition("config.lr", "drop", "1")


@given(st.text())
def test_a_searched_text_is_no_pattern(text):
    import re

    assert re.fullmatch(escaped_pattern(text), text)


def test_a_search_looks_at_the_names_of_runs():
    fields = [next(iter(one)) for one in search_filter("x")["$or"]]
    assert {"displayName", "name", "tags", "group", "notes"} == set(fields)
    assert search_filter("  ") == {}


def test_a_run_has_one_colour_and_equal_colours_differ_by_dashes():
    assert color_of_run("abc") == color_of_run("abc") in PALETTE
    many = looks_of(f"run{i}" for i in range(60))
    assert len(set(many)) >= len(PALETTE)
    assert [color for color, _ in many] == [color_of_run(f"run{i}") for i in range(60)]
    assert looks_of(["a", "a"])[0] != looks_of(["a", "a"])[1]
    assert color_of_run("\ud800") in PALETTE


def test_cells_show_what_is_no_number_as_wandb_writes_it():
    assert shown_value(math.nan) == "NaN"
    assert [shown_value(math.inf), shown_value(-math.inf)] == ["Infinity", "-Infinity"]
    assert [shown_value(value) for value in (True, 0, None, 10**400)][:3] == ["true", "0", ""]
    assert shown_value(["a", "b"], "tags") == "a, b"
    assert shown_value(math.nan, "duration") == "NaN"


def test_the_usual_columns_are_those_in_which_runs_differ():
    rows = [
        row_of("a", {"lr": 0.1, "seed": 0}, {"loss": 1.0, "_step": 3}),
        row_of("b", {"lr": 0.2, "seed": 0}, {"loss": math.nan, "text": "x"}),
    ]
    assert default_columns(rows) == ["config.lr", "summary.loss"]
    assert default_columns([]) == []


def test_charts_are_of_the_numbers_in_the_history_and_else_of_those_in_the_summary():
    logged = {"keys": {"val/loss": {"typeCounts": [{"type": "number"}]}, "t": {"typeCounts": []}}}
    rows = [row_of("a", {}, {"other": 1}, historyKeys=logged), row_of("b", {}, {"acc": "NaN"})]
    assert keys_to_draw(rows) == ["acc", "val/loss"]
    assert keys_to_draw(rows, "LOSS") == ["val/loss"]
    assert keys_to_draw([row_of("c", historyKeys={"keys": {"x": None, "y": 3}})]) == []
    assert grouped_keys(["val/loss", "acc"]) == {"": ["acc"], "val": ["val/loss"]}


def test_a_comparison_shows_what_differs_and_nan_is_nan():
    rows = [
        row_of("a", {"lr": 1, "net": {"depth": 2}}, {"loss": math.nan}),
        row_of("b", {"lr": 1.0, "net": {"depth": 3}}, {"loss": math.nan, "acc": 1}),
    ]
    lines = compared(rows, shows_equal=False)
    assert [(line.part, line.path) for line in lines] == [
        ("config", "net.depth"),
        ("summary", "acc"),
    ]
    assert [cell.is_missing for cell in lines[1].cells] == [True, False]
    assert len(compared(rows, shows_equal=True)) == 4
    frame = frame_of(rows, lines)
    assert frame.columns == ["part", "path", "a", "b"]
    assert frame.rows()[0] == ("config", "net.depth", "2", "3")
    assert frame_of([row_of("part")], []).columns == ["part", "path", "run part"]


def test_parallel_axes_have_a_place_for_numbers_words_and_nothing_for_what_is_missing():
    rows = [
        row_of("a", {"lr": 1e-4, "opt": "adam"}, {"acc": 0.5}),
        row_of("b", {"lr": 1e-2, "opt": "sgd"}, {"acc": math.nan}),
        row_of("c", {"lr": 1.0}, {"acc": 0.9}),
    ]
    picture = picture_of(rows, default_axes(rows))
    assert [axis.name for axis in picture.axes] == ["config.lr", "config.opt", "summary.acc"]
    assert [axis.is_log for axis in picture.axes] == [True, False, False]
    assert [len(line.paths) for line in picture.lines] == [1, 1, 2]
    assert picture_of([], []).lines == ()
    constant = picture_of([row_of("a", {"x": 10**400, "y": True})], ["config.x", "config.y"])
    assert len(constant.axes) == 2


def test_the_python_lines_can_be_parsed():
    import ast

    view = ProjectView(
        "te'am", "pr\noj", filter=json.dumps({"config.lr": ODD}), column=("config.a'b",), by=("x",)
    )
    for is_live in (True, False):
        ast.parse(table_line(view, is_live=is_live))
        ast.parse(plot_line(view, ODD, "lo'ss", is_live=is_live))
