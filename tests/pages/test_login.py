"""People log in to the pages of the embedded backend with an API key, and see what it may read."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest
from tests.http_logging import LoggedRun, steps
from tests.pages.conftest import log_in
from tests.server_process import running_server

from runlake.server.store.accounts import add_key, add_user, revoke_key
from runlake.server.store.database import Database

WRONG = "0" * 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A backend with two users, who have a run each."""
    with running_server(tmp_path_factory.mktemp("login")) as running:
        LoggedRun(running, "mine", "secret").log(*steps(0, 20)).finish()
        yield running


@pytest.fixture(scope="module")
def database(server):
    return Database(server.access_log.parent / "runlake.sqlite")


@pytest.fixture(scope="module")
def others_key(database):
    return add_user(database, "other")


@pytest.fixture
def visitor(server):
    """A browser without a script: follows no redirects, keeps cookies."""
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=60) as client:
        yield client


def logged_in(visitor, key, **fields):
    return visitor.post("/-/login", data={"key": key, **fields})


@pytest.mark.parametrize(
    "path", ["/", "/local", "/local/secret", "/local/secret/runs/mine", "/local/secret/runs/no"]
)
def test_a_page_without_a_login_leads_to_the_form(visitor, path):
    answer = visitor.get(path)
    assert answer.status_code == 303
    wanted = "" if path == "/" else f"?next={quote(path, safe='')}"
    assert answer.headers["location"] == f"/-/login{wanted}"
    assert visitor.get(answer.headers["location"]).status_code == 200


def test_data_without_a_login_is_refused(visitor):
    answer = visitor.get("/local/secret/runs/mine/history.json")
    assert answer.status_code == 401
    assert "Log in" in answer.json()["error"]


def test_a_login_leads_to_the_page_that_was_asked_for(visitor, server):
    answer = logged_in(visitor, server.api_key, next="/local/secret/runs/mine")
    assert (answer.status_code, answer.headers["location"]) == (303, "/local/secret/runs/mine")
    cookie = answer.headers["set-cookie"]
    for attribute in ("HttpOnly", "SameSite=strict", "Max-Age=", "Path=/"):
        assert attribute in cookie
    assert server.api_key not in cookie
    page = visitor.get("/local/secret/runs/mine")
    assert page.status_code == 200
    assert "Log out" in page.text
    assert server.api_key not in page.text


def test_visitors_who_log_in_at_once_to_a_new_server_are_all_logged_in(tmp_path):
    def visit(server):
        with httpx.Client(base_url=server.base_url, trust_env=False, timeout=60) as visitor:
            assert logged_in(visitor, server.api_key).status_code == 303
            return visitor.get("/local").status_code

    with running_server(tmp_path) as server, ThreadPoolExecutor(2) as pool:
        assert list(pool.map(visit, [server] * 2)) == [200, 200]


@pytest.mark.parametrize("key", ["", WRONG, "x", "\u65e5" * 40, "a" * 5000, "<script>"])
def test_a_wrong_key_is_refused(visitor, key):
    answer = logged_in(visitor, key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "does not know" in answer.text


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:1",
    ],
)
def test_a_login_leads_to_no_other_site(visitor, server, wanted):
    assert logged_in(visitor, server.api_key, next=wanted).headers["location"] == "/"


def test_the_cookie_is_for_pages_only(visitor, server):
    logged_in(visitor, server.api_key)
    query = {"query": "query Viewer { viewer { username } }"}
    assert visitor.post("/graphql", json=query).json()["data"]["viewer"] is None
    stream = visitor.post("/files/local/secret/mine/file_stream", json={"complete": True})
    assert stream.status_code == 401
    cookie = next(iter(visitor.cookies.jar)).value
    as_key = visitor.get("/local", auth=("api", cookie))
    assert as_key.status_code == 303


def test_the_key_itself_opens_pages_for_programs(visitor, server):
    answer = visitor.get("/local/secret/runs/mine", auth=("api", server.api_key))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_a_logout_ends_the_session(visitor, server):
    logged_in(visitor, server.api_key)
    kept = dict(visitor.cookies)
    answer = visitor.post("/-/logout")
    assert answer.headers["location"] == "/-/login"
    assert visitor.get("/local").status_code == 303
    assert httpx.get(f"{server.base_url}/local", cookies=kept).status_code == 303


def test_a_revoked_key_ends_its_sessions(visitor, database):
    key = add_key(database, "local")
    logged_in(visitor, key)
    assert visitor.get("/local").status_code == 200
    revoke_key(database, key)
    assert visitor.get("/local").status_code == 303
    assert visitor.get("/local/secret/runs/mine").status_code == 303


@pytest.mark.parametrize("path", ["/-/login", "/-/logout"])
def test_a_form_of_another_site_is_refused(visitor, server, path):
    logged_in(visitor, server.api_key)
    foreign = {"Origin": "https://evil.example"}
    answer = visitor.post(path, data={"key": server.api_key}, headers=foreign)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert visitor.get("/local").status_code == 200


def test_what_a_key_may_not_read_is_as_if_it_did_not_exist(visitor, server, others_key):
    logged_in(visitor, others_key)
    paths = {
        "/local/secret/runs/mine": "/local/secret/runs/nosuchrun",
        "/local/secret/runs/mine/files": "/local/secret/runs/nosuchrun/files",
        "/local/secret/runs/mine/files/config.yaml": "/local/secret/runs/nosuchrun/files/a",
        "/local/secret/workspace": "/local/nosuch/workspace",
        "/local/secret/artifacts": "/local/nosuch/artifacts",
        "/local": "/nobody",
    }
    for private, absent in paths.items():
        answers = [visitor.get(path) for path in (private, absent)]
        assert [answer.status_code for answer in answers] == [404, 404], private
        mains = [one.text.partition("<main")[2] for one in answers]
        assert mains[0] == mains[1]
        assert "mine" not in mains[0]
    # The owner has read the run before and after; nothing of it is shown from a cache.
    with httpx.Client(base_url=server.base_url, timeout=60) as owner:
        logged_in(owner, server.api_key)
        assert owner.get("/local/secret/runs/mine").status_code == 200
    assert visitor.get("/local/secret/runs/mine").status_code == 404


def test_every_answer_has_the_headers_of_security(visitor, server):
    logged_in(visitor, server.api_key)
    for path in ("/-/login", "/local", "/nobody", "/-/nothing", "/local/secret/runs/mine"):
        headers = visitor.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_page_that_has_not_changed_is_not_sent_again(visitor, server):
    logged_in(visitor, server.api_key)
    first = visitor.get("/local")
    again = visitor.get("/local", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "private, no-cache"


def test_programs_get_json_where_there_is_no_page(visitor):
    answer = visitor.post("/local/secret/unknown", json={})
    assert answer.status_code == 404
    assert answer.json()["errors"]


@pytest.mark.smoke
def test_a_person_logs_in_and_out(chromium, server):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.base_url}/local/secret/runs/mine")
    page.get_by_label("API key").fill(WRONG)
    page.keyboard.press("Enter")
    assert page.get_by_role("alert").text_content() == "The backend does not know this API key."
    page.get_by_label("API key").fill(server.api_key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/local/secret/runs/mine")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert cookie["expires"] > 0
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/-/login")
    page.goto(f"{server.base_url}/local/secret/runs/mine")
    assert page.get_by_label("API key").is_visible()
    log_in(context, server.base_url, server.api_key)
    page.goto(f"{server.base_url}/local/secret")
    assert "/-/login" not in page.url
    context.close()
