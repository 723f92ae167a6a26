"""Proxies, and hosts without a proxy, from environment variables."""

import importlib.util
from dataclasses import replace

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.raw_host import RawHost
from tests.faults.socks_proxy import SocksProxy

import runlake
from runlake.backend.connections.proxies import is_covered
from runlake.backend.graphql.query import fetch_run
from runlake.backend.http.client import Client
from runlake.errors import MissingExtra, RunlakeError, SettingsError, Unreachable
from runlake.settings import load_settings
from runlake.values import RunPath

RUN = RunPath.parse(RUN_PATH)
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "all_proxy", "http_proxy")


def ask(base_url):
    known = load_settings({"base_url": base_url}, api_key=API_KEY)
    return fetch_run(Client(replace(known, timeout=2.0, retry_timeout=0.5)), RUN)


@pytest.mark.parametrize(
    ("exception", "host", "port", "is_one"),
    [
        ("*", "a.example", 80, True),
        ("a.example", "a.example", 80, True),
        ("a.example", "b.a.example", 80, True),
        ("a.example", "ba.example", 80, False),
        (".a.example", "b.a.example", 80, True),
        (".a.example", "a.example", 80, True),
        ("*.a.example", "b.a.example", 80, True),
        ("A.Example.", "a.example", 80, True),
        ("a.example:8080", "a.example", 8080, True),
        ("a.example:8080", "a.example", 80, False),
        ("10.0.0.0/8", "10.200.3.4", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.0/8", "10.example", 80, False),
        ("10.1.2.3/8", "10.200.3.4", 80, True),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1:80", "10.0.0.1", 80, True),
        ("10.0.0.1:81", "10.0.0.1", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "fe80::1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 80, False),
        ("0:0:0:0:0:0:0:1", "::1", 80, True),
        ("localhost", "localhost", 80, True),
        ("http://a.example", "a.example", 80, True),
        ("https://a.example", "a.example", 80, False),
        ("", "a.example", 80, False),
        (".", "a.example", 80, False),
        ("[", "a.example", 80, False),
        ("10.0.0.0/99", "10.0.0.1", 80, False),
    ],
)
def test_no_proxy_covers_names_addresses_networks_and_ports(exception, host, port, is_one):
    assert is_covered("http", host, port, [exception]) is is_one


@pytest.mark.parametrize("variable", PROXIES)
@pytest.mark.parametrize("exceptions", ["127.0.0.0/8", "x.example, 127.0.0.1", "a 127.0.0.1", "*"])
@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "http://[", "x://"]
)
def test_a_host_that_no_proxy_covers_needs_no_proxy_that_works(
    faulty, monkeypatch, variable, exceptions, proxy
):
    monkeypatch.setenv(variable, proxy)
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert ask(faulty.base_url)["name"] == "run"


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:geheim@[",
        "gopher://user:geheim@host:1",
        "http://user:geheim@",
        "http://a:geheim@h:x",
    ],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY"])
def test_a_malformed_proxy_is_an_error_that_names_the_variable_and_no_password(
    faulty, monkeypatch, proxy, variable
):
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(SettingsError, match=variable) as caught:
        ask(faulty.base_url)
    error = caught.value
    assert error.setting == variable
    cause: BaseException | None = error
    while cause is not None:
        assert "geheim" not in str(cause)
        cause = cause.__cause__ or cause.__context__


def test_a_socks_proxy_without_its_package_is_a_missing_extra(faulty, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "socksio" else find(name, *a)
    )
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(MissingExtra, match=r"ALL_PROXY.*runlake\[socks\]") as caught:
        runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert caught.value.extra == "socks"


def test_requests_go_through_a_socks_proxy(faulty, monkeypatch, export):
    faulty.offer(a=export)
    with SocksProxy() as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url.replace("socks5", "socks"))
        run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
        assert len(run.frame(["_step"])) > 0
    hosts = {url.removeprefix("http://") for url in (faulty.base_url, faulty.storage_url)}
    assert set(proxy.asked) == hosts


@pytest.mark.parametrize("answer", [b"\x05\xff", b"\x05\x00" * 4, b"HTTP/1.1 400 x\r\n\r\n", b""])
def test_a_proxy_that_does_not_speak_socks_is_a_runlake_error(monkeypatch, faulty, answer):
    with RawHost(lambda _: iter([answer])) as proxy:
        proxy.read = lambda connection: connection.recv(100)
        monkeypatch.setenv("ALL_PROXY", proxy.base_url.replace("http", "socks5"))
        with pytest.raises(Unreachable, match=RUN_PATH):
            ask(faulty.base_url)


def test_a_socks_proxy_that_is_silent_ends_in_an_error(monkeypatch, faulty):
    with RawHost(lambda _: iter([])) as proxy:
        proxy.read = lambda _: bytes(proxy.closing.wait())
        monkeypatch.setenv("ALL_PROXY", proxy.base_url.replace("http", "socks5"))
        with pytest.raises(Unreachable, match="took too long"):
            ask(faulty.base_url)


def test_no_repr_of_what_holds_a_proxy_shows_its_password(faulty, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:geheim@127.0.0.1:9")
    with pytest.raises(RunlakeError) as caught:
        ask(faulty.base_url)
    error: BaseException | None = caught.value
    while error is not None:
        step = error.__traceback__
        while step is not None:
            # The test's own frame has it from the line above.
            if step.tb_frame.f_code.co_filename != __file__:
                assert "geheim" not in repr(step.tb_frame.f_locals)
            step = step.tb_next
        error = error.__cause__ or error.__context__
