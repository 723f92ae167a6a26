"""Proxies that the environment names."""

from runlake.settings.proxies import find_proxies


def test_proxies_and_exceptions_are_found(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://u:pw@proxy:1")
    monkeypatch.setenv("all_proxy", "socks5://proxy:2")
    monkeypatch.setenv("FTP_PROXY", "http://proxy:3")
    monkeypatch.setenv("NO_PROXY", "localhost, .internal 10.0.0.0/8")
    found = find_proxies()
    assert {name: url.reveal() for name, url in found.by_scheme.items()} == {
        "https": "http://u:pw@proxy:1",
        "all": "socks5://proxy:2",
    }
    assert found.exceptions == ("localhost", ".internal", "10.0.0.0/8")
    assert "pw" not in repr(found)


def test_without_variables_there_are_none():
    found = find_proxies()
    assert (dict(found.by_scheme), found.exceptions) == ({}, ())
