"""The pages of a project in a real browser: they are used with mouse and keyboard."""

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import polars as pl
import pytest
from playwright.sync_api import expect
from tests.http_logging import LoggedRun, log_seeds, steps
from tests.pages.accessibility import faults_of
from tests.server_process import wait_until

import runlake
from runlake.charts.html import missing_files
from runlake.pages.project.colors import color_of_run
from runlake.pages.source import ApiSource, LakeSource

pytestmark = pytest.mark.skipif(
    bool(missing_files()), reason="uPlot is not in the work tree: python hatch_build.py"
)

N_RUNS = 28
# Machines that run other tests at the same time are slow.
expect.set_options(timeout=30_000)
SCRIPTS = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"'`><svg onload=alert(3)>",
    "{{ 7*7 }}${alert(4)}",
    "a/b?c#d%20&e=f",
    "ünï 😀 \u2028",
]


@pytest.fixture(scope="module")
def logged(backend, tmp_path_factory):
    """Projects on the backend: seeds, one with hostile names, an empty one; and an Api to them."""
    log_seeds(backend, "seeds", N_RUNS)
    overrides = {
        "base_url": backend.base_url,
        "cache_dir": str(tmp_path_factory.mktemp("pages")),
    }
    api = runlake.Api(overrides, api_key=backend.api_key)
    for place, text in enumerate(SCRIPTS):
        config = {text: text, "nested": {text: [text]}, "number": place}
        rows = [{"_step": step, f"k/{text}": 1 / (step + 1), "loss": step} for step in range(9)]
        hostile = LoggedRun(backend, f"hostile{place}", "hostile").configure(**config)
        hostile.log(*rows).summarize({text: text, f"k/{text}": 0.1, "loss": float("nan")}).finish()
        run = api.run(f"{backend.entity}/hostile/hostile{place}")
        run.name, run.group, run.tags, run.notes = text, text, [text, "tag"], text
        run.update()
    LoggedRun(backend, "gone", "empty").log(*steps(0, 3)).finish()
    api.run(f"{backend.entity}/empty/gone").delete()
    return api


@pytest.fixture(scope="module")
def site(logged, backend, pages_of):
    """The address of the pages over the backend, with its entity."""
    return f"{pages_of(ApiSource(logged))}/{backend.entity}"


@pytest.fixture(scope="module")
def lake_site(logged, backend, pages_of, tmp_path_factory):
    """The address of the pages over pulled runs."""
    lake = runlake.Lake(tmp_path_factory.mktemp("pulled"))
    lake.pull(logged.runs(f"{backend.entity}/seeds"), progress=False)
    return f"{pages_of(LakeSource(lake))}/{backend.entity}"


def names_of(page):
    return page.locator("#runs tbody th").all_inner_texts()


def query_of(page):
    return parse_qs(urlsplit(page.url).query)


def wait_for_charts(page, n_curves=None):
    page.wait_for_selector(".grid canvas")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    if n_curves is not None:
        expect(page.locator(".grid figure").first.locator(".legend li")).to_have_count(n_curves)


def status_of(page):
    return page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus")


def legend_of(page):
    return page.locator(".grid figure").first.locator(".legend b").all_inner_texts()


def colors_of(page):
    """Return the colours of the curves of the first chart by their names."""
    buttons = page.locator(".grid figure").first.locator(".legend button").all()
    found = {}
    for button in buttons:
        color = button.locator("i").evaluate("(line) => getComputedStyle(line).borderTopColor")
        found[button.locator("b").inner_text()] = tuple(map(int, re.findall(r"\d+", color)))
    return found


def rgb(color):
    return tuple(int(color[at : at + 2], 16) for at in (1, 3, 5))


def test_runs_are_sorted_searched_filtered_and_paged_and_every_view_is_a_url(site, open_page):
    opened = open_page(f"{site}/seeds?per_page=25")
    page = opened.page
    wait_for_charts(page, 10)
    assert "28 runs" in page.inner_text("#runs")
    assert "Page 1 of 2" in page.inner_text("#runs")

    page.click("#runs thead a:has-text('summary.loss')")
    page.wait_for_url("**order=*")
    assert query_of(page)["order"] == ["-summary_metrics.loss"]
    by_loss = names_of(page)
    page.reload()
    assert names_of(page) == by_loss

    page.click("a[rel=next]")
    page.wait_for_url("**&page=2*")
    assert len(names_of(page)) == 3

    page.fill("#search", "SEED01")
    page.press("#search", "Enter")
    page.wait_for_url("**search=*")
    assert len(names_of(page)) == 10
    assert "page" not in query_of(page)

    page.fill("#search", "")
    page.click("summary:has-text('Filter')")
    page.fill("#where", "config.lr")
    page.select_option("#is", "lt")
    page.fill("#value", "0.005")
    page.click("button:has-text('Add')")
    page.wait_for_url("**filter=*")
    assert json.loads(query_of(page)["filter"][0]) == {"config.lr": {"$lt": 0.005}}
    assert "7 runs" in page.inner_text("#runs")
    page.go_back()
    expect(page.locator("#runs tbody tr")).to_have_count(10)
    assert opened.wrongs == []


def test_a_wrong_filter_is_shown_in_the_page_with_the_form_as_it_was(site, open_page):
    for wrong, said in [
        ("{'config.lr': ", "not JSON"),
        ('{"config.lr": {"$grater": 1}}', "$grater"),
        ('{"nosuchfield": 1}', "nosuchfield"),
    ]:
        opened = open_page(f"{site}/seeds?filter={quote(wrong)}")
        assert status_of(opened.page) == 400
        assert said in opened.page.inner_text("[role=alert]")
        assert opened.page.input_value("#filter") == wrong
    opened = open_page(f"{site}/seeds?order=nonsense")
    assert status_of(opened.page) == 400
    assert faults_of(opened.page) == []
    for wrong in ("seeds?smooth=x", "seeds?band=wide", "seeds/table?where=state&is=like"):
        assert opened.page.request.get(f"{site}/{wrong}").status == 400
    assert "nonsense" in opened.page.inner_text("[role=alert]")


def test_runs_are_selected_by_keyboard_and_keep_their_colours(site, open_page):
    opened = open_page(f"{site}/seeds")
    page = opened.page
    wait_for_charts(page, 10)
    first = colors_of(page)
    assert first["run-seed027"] == rgb(color_of_run("seed027"))

    page.focus("#runs tbody tr:nth-child(2) input")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    wait_for_charts(page, 3)
    chosen = ["seed026", "seed025", "seed024"]
    assert query_of(page)["run"] == chosen
    names = [f"run-{one}" for one in chosen]
    assert sorted(legend_of(page)) == sorted(names)
    assert {name: first[name] for name in names} == colors_of(page)
    focused = page.evaluate("document.activeElement.value")
    assert focused == "seed024"

    page.reload()
    wait_for_charts(page, 3)
    assert {name: first[name] for name in names} == colors_of(page)
    page.click("a[aria-label='Do not draw run-seed025']")
    wait_for_charts(page, 2)
    assert query_of(page)["hide"] == ["seed025"]
    page.click("a:has-text('Clear the selection')")
    page.wait_for_url(lambda url: "run=" not in url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    assert opened.wrongs == []


@pytest.mark.smoke
def test_rows_change_while_runs_go_on(backend, site, open_page):
    rows = [{"_step": step, "loss": 1 / (step + 1)} for step in range(3)]
    running = LoggedRun(backend, "first", "going-on").log(*rows).summarize({"loss": 0.5})
    opened = open_page(f"{site}/going-on/workspace?column=summary.loss")
    page = opened.page
    wait_for_charts(page)
    page.evaluate("window.isSame = document.querySelector('.grid figure')")
    box = page.get_by_label("Select run-first")
    box.focus()
    running.summarize({"loss": 0.25})
    come_back(page)
    expect(page.locator("tr[data-run=first] td.number")).to_have_text("0.25")
    LoggedRun(backend, "second", "going-on").log(*rows).finish()
    come_back(page)
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    expect(page.locator("#runs .line span").first).to_have_text("2 runs")
    expect(box).to_be_focused()
    running.finish()
    come_back(page)
    expect(page.locator("tr[data-run=first] .state")).to_have_text("finished")
    # The curves stay as they are.
    assert page.evaluate("window.isSame === document.querySelector('.grid figure')")
    assert page.url.endswith("column=summary.loss")
    assert opened.wrongs == []


def come_back(page):
    """Return to a tab: what changes is read then, as it is after some seconds."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_groups_have_a_mean_with_a_band(site, open_page):
    opened = open_page(f"{site}/seeds")
    page = opened.page
    page.select_option("#by", "config.lr")
    wait_for_charts(page, 4)
    assert "lr=0.1 (7 runs)" in legend_of(page)
    assert query_of(page)["by"] == ["config.lr"]
    page.select_option("#band", "min-max")
    page.wait_for_url("**band=min-max*")
    wait_for_charts(page, 4)
    page.reload()
    wait_for_charts(page, 4)
    assert "minimum to maximum" in page.locator(".grid .notes").first.inner_text()
    assert opened.wrongs == []


@pytest.mark.smoke
def test_selected_runs_are_compared(site, open_page):
    opened = open_page(f"{site}/seeds?run=seed001&run=seed002")
    page = opened.page
    page.click("#compare")
    page.wait_for_selector("table.comparison")
    paths = page.locator("tbody th[scope=row]").all_inner_texts()
    assert {"lr", "seed", "net.depth"} <= set(paths)
    assert "optimizer" not in paths
    page.click("#toggle")
    page.wait_for_selector("th:has-text('optimizer')")
    assert faults_of(page) == []
    assert opened.wrongs == []
    opened = open_page(f"{site}/seeds/compare?run=seed001&run=nosuchrun")
    assert "nosuchrun" in opened.page.inner_text("[role=status]")


def test_columns_are_chosen_and_hidden(site, open_page):
    opened = open_page(f"{site}/seeds/table")
    page = opened.page
    page.click("#columns summary")
    page.check("#columns input[value='config.optimizer']")
    page.click("button:has-text('Show these columns')")
    page.wait_for_selector("thead:has-text('config.optimizer')")
    assert "config.optimizer" in query_of(page)["column"]
    page.click("a[aria-label='Hide the column config.optimizer']")
    expect(page.locator("thead")).not_to_contain_text("optimizer")
    assert opened.wrongs == []


def test_parallel_axes_show_a_line_per_run(site, open_page):
    opened = open_page(f"{site}/seeds/parallel")
    page = opened.page
    assert page.locator("svg.parallel a").count() == N_RUNS
    assert page.locator("svg.parallel .axis").count() >= 3
    assert faults_of(page) == []
    assert opened.wrongs == []


def test_a_chart_is_zoomed_and_moved_and_reads_finer_points(site, open_page):
    opened = open_page(f"{site}/seeds?key=loss")
    page = opened.page
    wait_for_charts(page, 10)
    box = page.locator(".grid .u-over").bounding_box()
    y = box["y"] + box["height"] / 2
    with page.expect_response("**/charts.json?*low=*"):
        page.mouse.move(box["x"] + 40, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 160, y, steps=4)
        page.mouse.up()
    with page.expect_response("**/charts.json?*low=*"):
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + 60, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 30, y, steps=4)
        page.mouse.up()
        page.keyboard.up("Shift")
    assert opened.wrongs == []


def draw_all(page):
    """Scroll to each chart that is not drawn yet, until all are drawn."""

    def is_drawn():
        page.evaluate("document.querySelector('.pending')?.scrollIntoView()")
        return page.locator(".pending").count() == 0

    wait_until(is_drawn)


@pytest.mark.parametrize("view", ["", "/table", "/parallel", "/compare?run=hostile0&run=hostile1"])
def test_no_name_is_markup_or_a_script(site, open_page, view):
    opened = open_page(f"{site}/hostile{view}")
    page = opened.page
    if not view:
        wait_for_charts(page)
        draw_all(page)
        legend = page.locator(".grid .legend b").all_inner_texts()
        assert SCRIPTS[0] in legend
    if view != "/parallel":
        assert SCRIPTS[0] in page.inner_text("main")
    assert faults_of(page) == []
    assert opened.wrongs == []


def test_hostile_runs_are_grouped_and_searched(site, open_page):
    opened = open_page(f"{site}/hostile?by=group&search={quote(SCRIPTS[2])}")
    wait_for_charts(opened.page)
    assert len(names_of(opened.page)) == 1
    name = quote(f"config.{SCRIPTS[0]}")
    opened = open_page(f"{site}/hostile?column={name}&by={name}")
    wait_for_charts(opened.page)
    assert SCRIPTS[0] in opened.page.inner_text("#runs tbody")
    assert opened.wrongs == []


def test_an_empty_project_says_so_and_a_missing_one_is_not_found(site, open_page):
    opened = open_page(f"{site}/empty")
    assert "no runs yet" in opened.page.inner_text("main")
    assert faults_of(opened.page) == []
    opened = open_page(f"{site}/seeds?search=nosuchrun")
    assert "No run matches" in opened.page.inner_text("main")
    for wrong in ("nosuchproject", "nosuchproject/table?filter=%7B", "nosuchproject/compare"):
        assert opened.page.request.get(f"{site}/{wrong}").status == 404
    opened = open_page(f"{site}/seeds?run=nosuchrun&run=seed003")
    assert "nosuchrun" in opened.page.inner_text("#runs [role=status]")
    wait_for_charts(opened.page, 1)


def test_the_data_of_a_view_is_beside_it(site, open_page, tmp_path):
    page = open_page(f"{site}/seeds").page
    query = "order=%2Bconfig.lr&column=config.lr&column=summary.loss&column=nosuch&per_page=25"
    rows = page.request.get(f"{site}/seeds/table.json?{query}").json()
    assert len(rows) == N_RUNS
    assert set(rows[0]) == {"run_id", "config.lr", "summary.loss", "nosuch"}
    assert [row["config.lr"] for row in rows] == sorted(row["config.lr"] for row in rows)
    assert [row["summary.loss"] for row in rows].count("NaN") == 4
    file = tmp_path / "runs.parquet"
    file.write_bytes(page.request.get(f"{site}/seeds/workspace.parquet?{query}").body())
    frame = pl.read_parquet(file)
    assert frame["summary.loss"].is_nan().sum() == 4
    text = page.request.get(f"{site}/seeds.csv?{query}").text()
    assert text.splitlines()[0] == "run_id,config.lr,summary.loss,nosuch"
    assert text.count("NaN") == 4
    answer = page.request.get(f"{site}/seeds/table.json?filter=%7B")
    assert (answer.status, "JSON" in answer.json()["error"]) == (400, True)
    answer = page.request.get(f"{site}/seeds/charts.json?key=nosuch")
    assert "nosuch" in answer.json()["charts"][0]["error"]
    answer = page.request.get(f"{site}/seeds/charts.json?key=lo*s&key=loss")
    assert [sorted(one) for one in answer.json()["charts"]] == [
        ["error", "key"],
        ["key", "payload"],
    ]
    for wrong in ("charts.json", "charts.json?key=loss&low=x", "charts.json?key=loss&smooth=x"):
        assert page.request.get(f"{site}/seeds/{wrong}").status == 400
    assert page.request.get(f"{site}/seeds/table.xml").status == 404


def test_pulled_runs_have_the_same_page(site, lake_site, open_page):
    query = "seeds?order=%2Bdisplay_name&run=seed001&run=seed002"
    shown = []
    for address in (site, lake_site):
        opened = open_page(f"{address}/{query}")
        wait_for_charts(opened.page, 2)
        shown.append((names_of(opened.page), legend_of(opened.page), colors_of(opened.page)))
        assert opened.wrongs == []
    assert shown[0] == shown[1]
    opened = open_page(f"{lake_site}/seeds?filter=%7B%22nosuchfield%22%3A1%7D")
    assert opened.page.request.get(f"{lake_site}/nosuchproject").status == 404
    assert status_of(opened.page) == 400
    assert "nosuchfield" in opened.page.inner_text("[role=alert]")


def test_the_page_can_be_used_with_a_screen_reader_on_a_dark_screen(site, open_page):
    opened = open_page(f"{site}/seeds?run=seed006&run=seed007", scheme="dark")
    wait_for_charts(opened.page, 2)
    opened.page.click("#columns summary")
    opened.page.click("summary:has-text('Filter')")
    assert faults_of(opened.page) == []


def test_the_page_is_readable_on_a_phone(site, open_page):
    opened = open_page(f"{site}/seeds", width=390)
    wait_for_charts(opened.page)
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_each_chart_has_the_axis_that_its_key_declares(backend, site, open_page):
    metrics = {"_wandb": {"m": [{"1": "epoch", "6": [3]}, {"1": "val/loss", "5": 1, "6": [1]}]}}
    for run_id in ("one", "two"):
        rows = [{"_step": s, "epoch": s // 2, "loss": 1 / (s + 1)} for s in range(10)]
        rows = [row | ({"val/loss": row["loss"]} if row["_step"] % 2 else {}) for row in rows]
        LoggedRun(backend, run_id, "axes").configure(**metrics).log(*rows).summarize(
            {"loss": 0.1, "val/loss": 0.1, "epoch": 4}
        ).finish()
    page = open_page(f"{site}/axes").page
    query = "key=val/loss&key=loss&key=epoch&key=nosuch&run=one&run=two"
    answer = page.request.get(f"{site}/axes/charts.json?{query}")
    assert answer.status == 200, answer.text()
    charts = answer.json()["charts"]
    assert [one["key"] for one in charts] == ["val/loss", "loss", "epoch", "nosuch"]
    assert [one["payload"]["x"]["key"] for one in charts[:3]] == ["epoch", "_step", "_step"]
    assert "nosuch" in charts[3]["error"]
