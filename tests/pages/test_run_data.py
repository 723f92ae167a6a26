"""The data of a run's pages: what scripts read, and the files beside every view."""

import io
import json
import math
from functools import partial

import httpx
import polars as pl
import pytest
from tests.chart_payloads import decoded
from tests.http_logging import LoggedRun
from tests.integration.test_media import IMAGES, PAGE, cell, named
from tests.pages.serving import served
from tests.server_process import NO_TLS, running_server, wait_until

import runlake
from runlake.pages.addresses import encoded
from runlake.pages.run.followers import Followers
from runlake.pages.source import ApiSource, LakeSource

ODD_KEYS = [
    "val/loss",
    "a.b",
    "with space",
    "quote\"'`",
    "<script>alert(1)</script>",
    "50%25",
    "q?x=1&y=2#z",
    "日本語/損失",
    "back\\slash",
    "[x]*",
]
TABLE = {"columns": ["n", "text"], "data": [[i % 7, f"row {i} <b>"] for i in range(120)]}


@pytest.fixture(scope="module")
def client(backend, tmp_path_factory):
    """The pages over the backend, without a browser."""
    folder = tmp_path_factory.mktemp("pages")
    settings = {"base_url": backend.base_url, "cache_dir": folder / "cache"}
    api = runlake.Api(settings, api_key=backend.api_key)
    with served(ApiSource(api)) as address, opened(address) as one:
        yield one


def opened(address):
    return httpx.Client(base_url=address, verify=NO_TLS, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def run(backend):
    """A finished run with odd keys, NaN and infinities, and an axis of its own."""
    rows = [
        {
            "_step": step,
            "_runtime": step * 2.0,
            "epoch": step // 10,
            "loss": math.nan if step == 5 else 1 / (step + 1),
            "top": math.inf if step == 7 else step,
            "mixed": ["NaN", "text", True, None, {"a": 1}][step % 5] if step < 40 else step,
            **dict.fromkeys(ODD_KEYS, float(step)),
        }
        for step in range(50)
    ]
    declared = {"m": [{"1": "epoch", "6": [3]}, {"2": "val/*", "5": 1, "6": [3]}]}
    logged = LoggedRun(backend, "odd-run", "pages", _wandb=declared, net={"depth": 2}, name="<b>")
    logged.log(*rows).summarize({"loss": 0.02, "best": {"acc": "NaN"}})
    return logged.finish()


def pulled_lake(backend, run, folder):
    """Return a lake with a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", backend.base_url)
        patch.setenv("WANDB_API_KEY", backend.api_key)
        runlake.Lake(folder / "lake").pull(run.path)
    return runlake.Lake(folder / "lake")


def path_of(run):
    entity, project, run_id = run.path.split("/")
    return f"/{entity}/{project}/runs/{encoded(run_id)}"


def get(client, run, name, **query):
    answer = client.get(f"{path_of(run)}/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def test_contents_group_keys_by_prefix_with_their_axes(client, run):
    found = get(client, run, "contents.json").json()
    groups = dict(found["groups"])
    assert groups["val"] == ["val/loss"]
    assert groups["日本語"] == ["日本語/損失"]
    assert {"loss", "top", "epoch"} <= set(groups["Charts"])
    assert found["axes"] == {"val/loss": "epoch"}
    assert "epoch" in found["choices"]
    assert (found["end"], found["reason"], found["state"]) == (50, None, "finished")


def test_every_odd_key_has_a_chart(client, run):
    keys = [*ODD_KEYS, "loss", "top"]
    answer = get(client, run, "charts.json", key=keys).json()
    assert [one["key"] for one in answer["charts"]] == keys
    assert all(one["payload"]["counts"]["all"] == 50 for one in answer["charts"])
    notes = {one["key"]: one["payload"]["notes"] for one in answer["charts"]}
    assert any("NaN" in note for note in notes["loss"])
    assert any("infinity" in note for note in notes["top"])


def test_numbers_among_other_values_are_drawn(client, run):
    (chart,) = get(client, run, "charts.json", key="mixed").json()["charts"]
    notes = chart["payload"]["notes"]
    assert notes == ["26 points", "marked: 8 NaN", "8 values of other types"]


def test_a_chart_says_for_how_many_points_it_stands(client, run):
    (chart,) = get(client, run, "charts.json", key="top", points=10).json()["charts"]
    assert chart["payload"]["notes"][0] == "10 of 50 points"


def test_charts_of_one_answer_share_equal_numbers(client, run):
    answer = get(client, run, "charts.json", key=["top", "loss"], x="_step").json()
    curves = [one["payload"]["curves"][0] for one in answer["charts"]]
    assert curves[0]["x"] == curves[1]["x"]
    assert curves[0]["y"] != curves[1]["y"]
    assert decoded(answer["buffers"][curves[0]["x"]]).tolist() == list(range(50))


def test_a_range_has_only_its_points_and_their_neighbours(client, run):
    query = {"key": "top", "x": "_step", "low": "10.5", "high": "20"}
    (chart,) = get(client, run, "charts.json", **query).json()["charts"]
    assert chart["payload"]["counts"] == {"shown": 12, "all": 12}


def test_smoothing_in_a_range_counts_the_points_before_it(client, run):
    query = {"key": "top", "x": "_step", "smooth": "0.9"}
    whole = get(client, run, "charts.json", **query).json()
    part = get(client, run, "charts.json", low="40", high="49", **query).json()
    assert curve_of(part)[1] == pytest.approx(curve_of(whole)[1][-10:], rel=1e-5)


def curve_of(answer):
    (chart,) = answer["charts"]
    curve = chart["payload"]["curves"][0]
    return [decoded(answer["buffers"][curve[name]]).tolist() for name in ("x", "y")]


def test_an_unknown_key_has_a_reason(client, run):
    (chart,) = get(client, run, "charts.json", key="los").json()["charts"]
    assert "closest keys: 'loss'" in chart["reason"]


@pytest.mark.parametrize(
    "query",
    ["", "key=loss&points=0", "key=loss&low=nan", "key=loss&smooth=-1", "key=loss&points=1e99"],
)
def test_wrong_queries_are_refused(client, run, query):
    answer = client.get(f"{path_of(run)}/charts.json?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_unknown_run_is_not_there(client, run):
    missing = path_of(run).replace("odd-run", "no-run")
    for name in ("", "/charts.json?key=loss", "/console", "/history.csv", "/events", "/media-file"):
        assert client.get(missing + name).status_code == 404


def test_files_beside_the_charts_have_the_rows(client, run):
    names = {"key": ["loss", "val/loss"], "min_step": 4, "max_step": 8}
    rows = get(client, run, "history.json", **names).json()
    assert rows[1] == {"_step": 5, "loss": "NaN", "val/loss": 5.0}
    frame = pl.read_parquet(io.BytesIO(get(client, run, "history.parquet", **names).content))
    assert frame["_step"].to_list() == [4, 5, 6, 7]
    assert math.isnan(frame["loss"][1])
    text = get(client, run, "history.csv", **names).text
    assert text.splitlines()[0] == "_step,loss,val/loss"
    assert client.get(f"{path_of(run)}/history.html").status_code == 404


@pytest.mark.parametrize("name", ["keys", "system", "config", "summary", "console"])
@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
def test_every_view_has_files_beside_it(client, run, name, suffix):
    answer = get(client, run, f"{name}.{suffix}")
    again = client.get(answer.request.url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    if suffix == "json":
        json.loads(answer.text, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "tab", ["", "/system", "/config", "/summary", "/console", "/tables", "/media"]
)
def test_every_tab_escapes_what_others_wrote(client, run, tab):
    answer = client.get(path_of(run) + tab)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text


def test_tables_are_sorted_and_paged(client, backend, tmp_path):
    file = tmp_path / "media" / "table" / "t.table.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(TABLE))
    value = {"_type": "table-file", "path": "media/table/t.table.json", "nrows": 120, "ncols": 2}
    run = LoggedRun(backend, "with-table", "pages").log({"_step": 0, "rows": value})
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    api.run(run.path).upload_file(str(file), str(tmp_path))
    run.summarize({"rows": value}).finish()
    page = client.get(path_of(run) + "/tables", params={"sort": "n", "order": "down", "page": 3})
    assert "Page 3 of 3" in page.text
    assert 'aria-sort="descending"' in page.text
    assert "row 119 &lt;b&gt;" in page.text
    rows = get(client, run, "tables.json", key="rows").json()
    assert rows[8] == {"n": 1, "text": "row 8 <b>"}
    assert client.get(path_of(run) + "/tables.csv", params={"key": "no"}).status_code == 404


def test_media_are_shown_step_by_step_and_never_as_html(client, backend, tmp_path):
    names = [named("photo", content) for content in IMAGES]
    contents = {**dict(zip(names, IMAGES, strict=True)), "media/html/page.html": PAGE}
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    run = LoggedRun(backend, "with-media", "pages")
    for name, content in contents.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    cells = [cell("image-file", names[i], IMAGES[i], width=1, height=1) for i in range(3)]
    run.log(*({"_step": 10 * i, "photo": one} for i, one in enumerate(cells)))
    run.log({"_step": 40, "page": cell("html-file", "media/html/page.html", PAGE)})
    for name in contents:
        api.run(run.path).upload_file(str(tmp_path / name), str(tmp_path))
    run.finish()
    found = get(client, run, "media.json", key="photo", step=15).json()
    assert (found["steps"], found["step"]) == ([0, 10, 20], 10)
    image = get(client, run, "media-file", key="photo", step=10)
    assert (image.headers["content-type"], image.content) == ("image/png", IMAGES[1])
    page = get(client, run, "media-file", key="page")
    assert page.headers["content-disposition"].startswith("attachment")
    assert "html" not in page.headers["content-type"]
    assert client.get(path_of(run) + "/media-file?key=photo&index=9").status_code == 404


def test_a_run_without_history_says_why(client, backend):
    run = LoggedRun(backend, "no-rows", "pages").finish()
    assert "logged nothing" in get(client, run, "contents.json").json()["reason"]
    texts = LoggedRun(backend, "texts", "pages").log({"_step": 0, "note": "a"}).finish()
    assert "'note'" in get(client, texts, "contents.json").json()["reason"]


def test_pulled_runs_have_the_same_charts(client, backend, run, tmp_path):
    lake = pulled_lake(backend, run, tmp_path)
    with served(LakeSource(lake)) as address, opened(address) as pulled:
        for name, query in [("contents.json", {}), ("charts.json", {"key": ["loss", *ODD_KEYS]})]:
            assert get(pulled, run, name, **query).json() == get(client, run, name, **query).json()
        for tab in ("", "/system", "/config", "/summary", "/console", "/tables", "/media"):
            assert pulled.get(path_of(run) + tab).status_code == 200
        assert "not pulled" in pulled.get(path_of(run) + "/console").text
        assert pulled.get(path_of(run) + "/events").status_code == 204


def test_charts_of_a_partly_pulled_run_say_what_is_not_on_disk(backend, tmp_path):
    rows = [{"_step": step, "loss": 1 / (step + 1)} for step in range(1001)]
    run = LoggedRun(backend, "partly-pulled", "pages").log(*rows)
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path)}
    runlake.Api(settings, api_key=backend.api_key).run(run.path).pull()
    run.finish()
    with served(LakeSource(runlake.Lake(tmp_path))) as address, opened(address) as pulled:
        (chart,) = get(pulled, run, "charts.json", key="loss").json()["charts"]
    assert chart["payload"]["notes"][-1] == "incomplete on disk: 1 row was in no export"


def test_all_pages_of_a_run_share_one_follower(backend, api):
    run = LoggedRun(backend, "followed", "pages").log({"_step": 0, "loss": 1.0})
    followers = Followers(poll=0.02)
    woken = []
    pages = [followers.join(api.run(run.path), 1, lambda: woken.append(1)) for _ in range(3)]
    assert followers.n_running == 1
    run.log({"_step": 1, "loss": 0.5})
    wait_until(lambda: bool(woken))
    for page in pages:
        wait_until(lambda: len(pages[0].follower.rows) > 0)
        (rows,) = [content for name, content in page.collect() if name == "rows"]
        assert rows == {"from": 1, "cursor": 2, "keys": {"loss": [[1], [0.5]]}}
    late = followers.join(api.run(run.path), 0, lambda: None)
    assert late.collect()[0][0] == "again"
    for page in [*pages, late]:
        followers.leave(page)
    wait_until(lambda: followers.n_running == 0)
    run.finish()


def test_a_page_that_joins_later_is_woken_for_rows_that_it_lacks(backend, api):
    run = LoggedRun(backend, "joined", "pages").log({"_step": 0, "loss": 1.0})
    followers = Followers(poll=0.02)
    first = followers.join(api.run(run.path), 1, lambda: None)
    run.log({"_step": 1, "loss": 0.5})
    wait_until(lambda: len(first.follower.rows) > 0)
    woken: list[int] = []
    pages = [
        followers.join(api.run(run.path), cursor, partial(woken.append, cursor))
        for cursor in range(3)
    ]
    assert woken == [0, 1]
    assert pages[0].collect()[0][0] == "again"
    assert pages[1].collect()[0][1]["keys"] == {"loss": [[1], [0.5]]}
    for page in (first, *pages):
        followers.leave(page)
    run.finish()


def test_a_rewound_run_is_read_again(backend, api):
    run = LoggedRun(backend, "rewound", "pages")
    run.log(*({"_step": step, "loss": 1.0} for step in range(5)))
    followers = Followers(poll=0.02)
    page = followers.join(api.run(run.path), 5, lambda: None)
    run.log({"_step": 5, "loss": 1.0})
    wait_until(lambda: len(page.follower.rows) > 0)
    page.collect()
    run.rewind(2)
    wait_until(lambda: page.follower.n_rewinds > 0)
    assert page.collect()[0] == ("again", {"from": 6, "cursor": 3})
    run.finish()
    wait_until(lambda: page.is_over)
    assert page.collect()[-1][0] == "over"


def test_a_follower_ends_while_its_backend_is_away(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "1")
    with running_server(tmp_path / "server") as server:
        run = LoggedRun(server, "away", "pages").log({"_step": 0, "loss": 1.0})
        api = runlake.Api({"base_url": server.base_url}, api_key=server.api_key)
        followers = Followers(poll=0.02)
        page = followers.join(api.run(run.path), 0, lambda: None)
        wait_until(lambda: len(page.follower.rows) == 1)
        run.close()
    assert not page.is_over
    followers.leave(page)
    wait_until(lambda: followers.n_running == 0)


def test_system_metrics_are_grouped_without_the_mark_of_the_sdk(client, backend):
    run = LoggedRun(backend, "metered", "pages")
    events = [
        json.dumps({"_wandb": True, "_runtime": at, "system.cpu": at, "system.gpu.0.temp": at})
        for at in (1.0, 2.0)
    ]
    run.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": events}}})
    found = get(client, run.finish(), "system-contents.json").json()
    groups = dict(found["groups"])
    assert groups["gpu"] == ["system.gpu.0.temp"]
    assert "_wandb" not in {key for keys in groups.values() for key in keys}


def test_console_lines_are_shown_without_the_colours_of_a_terminal(client, backend):
    run = LoggedRun(backend, "coloured", "pages")
    lines = ["2026-01-01T00:00:00 \x1b[1;31mred\x1b[0m [1m plain \x1b[2K\x1b[?25lend"]
    run.stream({"files": {"output.log": {"offset": 0, "content": lines}}})
    found = get(client, run.finish(), "tail.json").json()
    assert [one["text"] for one in found["lines"]] == ["red [1m plain end"]
