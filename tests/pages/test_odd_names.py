"""Names, keys, configs and console lines may contain anything: pages show it, and run nothing."""

import json

import pytest
from tests.http_logging import LoggedRun, wrapped
from tests.pages.accessibility import faults_of

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(2)>"
KEYS = [
    SCRIPT,
    IMAGE,
    "a/b.c:d",
    "__proto__",
    "constructor",
    "\u65e5\u672c \u202e",
    "{{ 7 * 7 }}",
    "?x=1&y=2#z%25",
]
CONSOLE = ["\x1b[31mred\x1b[0m", SCRIPT, IMAGE, "\u202eabc\x00\x07"]
RENAME = """
mutation UpsertBucket($id: String, $display: String, $config: JSONString, $notes: String) {
  upsertBucket(input: {id: $id, displayName: $display, config: $config, notes: $notes}) {
    bucket { id }
  }
}
"""


@pytest.fixture(scope="module")
def run(backend):
    """A finished run in which every text is odd."""
    run = LoggedRun(backend, "odd", "names")
    config = {key: {key: IMAGE, "list": [SCRIPT, float("inf")]} for key in KEYS}
    variables = {"id": run.storage_id, "display": f"{SCRIPT}{IMAGE}", "notes": IMAGE}
    run.graphql(RENAME, {**variables, "config": wrapped(**config)})
    for step in range(20):
        values = {key: step * place + 0.5 for place, key in enumerate(KEYS)}
        run.log({"_step": step, "_timestamp": 1.7e9 + step, **values, "nan": "NaN"})
    run.summarize(dict.fromkeys(KEYS, IMAGE) | {"best": 1.5})
    run.stream({"files": {"output.log": {"offset": 0, "content": CONSOLE}}})
    return run.finish()


def test_no_page_of_a_run_runs_what_it_shows(backend, run, open_page):
    entity, project, run_id = run.path.split("/")
    opened = open_page(f"{backend.base_url}/{entity}/{project}/workspace", key=backend.api_key)
    page = opened.page
    page.wait_for_load_state("networkidle")
    assert f"{SCRIPT}{IMAGE}" in page.locator("main").text_content()
    assert faults_of(page) == []
    address = f"{backend.base_url}/{entity}/{project}/runs/{run_id}"
    page.goto(address)
    page.wait_for_load_state("networkidle")
    links = page.locator("nav .tabs a").all()
    addresses = list(dict.fromkeys([address, *(link.evaluate("a => a.href") for link in links)]))
    for one in addresses:
        page.goto(one)
        page.wait_for_load_state("networkidle")
        page.mouse.wheel(0, 5_000)
        page.wait_for_load_state("networkidle")
        assert f"{SCRIPT}{IMAGE}" in page.locator("h1").first.text_content()
        assert faults_of(page) == [], one
        assert opened.wrongs == [], one


def test_data_of_odd_keys_is_strict_json(backend, run, open_page):
    opened = open_page(f"{backend.base_url}/{run.path.rpartition('/')[0]}", key=backend.api_key)
    answer = opened.page.request.get(
        f"{backend.base_url}/{'/'.join(run.path.split('/')[:2])}/runs/odd/history.json"
    )
    if answer.status == 404:
        pytest.skip("the page of a run has no data yet")
    assert answer.ok
    json.loads(answer.text(), parse_constant=pytest.fail)
