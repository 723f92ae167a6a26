"""``runlake view`` and ``runlake export-page``."""

import asyncio
import contextlib
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest
import typer
from tests.http_logging import LoggedRun, steps
from tests.server_process import bare_environment
from typer.main import get_command

import runlake
from runlake.errors import InvalidArgument
from runlake.pages.admission import Admission
from runlake.pages.app import build_pages
from runlake.pages.command import export_app
from runlake.pages.source import LakeSource
from runlake.pages.target import open_target

# A pull stores some files of each run, and pages of pulled runs list these.
pytestmark = pytest.mark.filterwarnings("ignore::runlake.errors.IncompleteWarning")


@pytest.fixture(scope="module")
def lake(backend, tmp_path_factory):
    """The directory of two pulled runs."""
    folder = tmp_path_factory.mktemp("lake")
    for name in ("one", "two"):
        LoggedRun(backend, name, "viewed").log(*steps(0, 5)).finish()
    api = runlake.Api(
        {"base_url": backend.base_url, "cache_dir": str(folder)}, api_key=backend.api_key
    )
    runlake.Lake(folder).pull(api.runs("local/viewed"))
    return folder


def export_page(*words):
    command = get_command(export_app)
    with command.make_context("export-page", list(words)) as context:
        command.invoke(context)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (None, ()),
        ("local/viewed", ("local", "viewed", "workspace")),
        ("viewed", ("local", "viewed", "workspace")),
        ("local/viewed/one", ("local", "viewed", "runs", "one")),
        ("one", ("local", "viewed", "runs", "one")),
    ],
)
def test_a_target_in_a_lake_is_a_page(lake, text, path):
    assert open_target(text, lake).path == path


def test_a_target_on_a_backend_is_a_page(lake, backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    run = ("local", "viewed", "runs", "one")
    for text in ("local/viewed/one", f"{backend.base_url}/local/viewed/runs/one"):
        assert open_target(text, None).path == run
    assert open_target("local/viewed", None).path == ("local", "viewed", "workspace")
    assert open_target(None, None).path == ()
    for wrong in ("local/viewed/no", "local/nosuchproject"):
        with pytest.raises(runlake.RunlakeError):
            open_target(wrong, None)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(lake))
    monkeypatch.setenv("RUNLAKE_OFFLINE", "1")
    assert not open_target("local/viewed/one", None).source.is_live


def test_a_wrong_target_is_explained(lake, tmp_path):
    with pytest.raises(InvalidArgument, match="no pulled runs"):
        open_target(None, tmp_path / "nothing")
    for text in ("local/nosuch", "nosuch", "local/viewed/no"):
        with pytest.raises(runlake.errors.NotCached, match="no run"):
            open_target(text, lake)


def test_a_lake_without_a_directory_is_that_of_the_settings(lake, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WANDB_CACHE_DIR", str(lake))
    site = tmp_path / "site"
    export_page("--lake", "-o", str(site))
    assert (site / "local" / "viewed" / "runs" / "two" / "index.html").is_file()
    export_page("local/viewed/one", "--lake", str(lake), "-o", str(site))
    assert not (site / "local").exists()
    assert str(site) in capsys.readouterr().out
    with pytest.raises(InvalidArgument, match="Name a run or a project"):
        export_page("-o", str(site))
    with pytest.raises(typer.TyperException):
        export_page("--nosuch")


@contextlib.contextmanager
def viewing(lake, *options):
    """Run ``runlake view`` of a run; yields the address that it prints."""
    code = "from runlake.pages.command import view_app; view_app()"
    words = ["local/viewed/one", "--lake", str(lake), "--port", "0", *options]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        env=bare_environment(),
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().rpartition(" at ")[2].strip()
        finally:
            process.terminate()


def visitor(**options):
    return httpx.Client(timeout=60, trust_env=False, **options)


def test_view_serves_only_who_has_its_address(lake):
    with viewing(lake) as address, visitor() as browser, visitor() as other:
        page, _, token = address.partition("?token=")
        assert page.endswith("/local/viewed/runs/one")
        assert len(token) >= 32
        for wrong in (page, f"{page}?token=", f"{page}?token={token}x", f"{page}/history.csv"):
            refused = other.get(wrong)
            assert refused.status_code == 401
            assert "run-one" not in refused.text
            assert token not in refused.text
        answer = browser.get(f"{page}?smooth=0.5&token={token}")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{urlsplit(page).path}?smooth=0.5"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert token.lower() not in cookie
        shown = browser.get(page)
        assert shown.status_code == 200
        assert "run-one" in shown.text
        assert "Log out" not in shown.text
        table = f"{page}/history.csv"
        assert other.get(table, headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert other.get(table, headers={"Authorization": "Bearer x"}).status_code == 401
        # An address with two slashes would lead to another site.
        origin = page.removesuffix("/local/viewed/runs/one")
        away = browser.get(f"{origin}//evil.example/?token={token}")
        assert away.headers["location"] == "/"


def test_an_address_for_the_command_line_of_a_browser_opens_once(lake):
    pages = Admission(build_pages(LakeSource(runlake.Lake(lake))), 1234)
    address = pages.address_for_once("http://127.0.0.1:1234/local/viewed/runs/one")

    async def statuses():
        transport = httpx.ASGITransport(pages)
        async with (
            httpx.AsyncClient(transport=transport) as browser,
            httpx.AsyncClient(transport=transport) as thief,
        ):
            again = pages.address_for_once(address.partition("?")[0])
            asked = [
                (browser, address),
                (thief, address),
                (browser, address.partition("?")[0]),
                # The browser has a cookie now, and uses up its next address all the same.
                (browser, again),
                (thief, again),
            ]
            return [(await client.get(url)).status_code for client, url in asked]

    assert asyncio.run(statuses()) == [303, 401, 200, 303, 401]


def test_view_serves_this_machine_only(lake):
    with viewing(lake, "--no-token") as address, visitor() as client:
        assert address.endswith("/local/viewed/runs/one")
        answer = client.get(address)
        assert answer.status_code == 200
        assert "run-one" in answer.text
        refused = client.get(address, headers={"Host": "evil.example"})
        assert refused.status_code == 421
        assert "run-one" not in refused.text
