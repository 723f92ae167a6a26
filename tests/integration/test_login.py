"""``runlake.login``: sets key and host for the rest of the process, and writes no file."""

import pathlib

import pytest

import runlake
from runlake import errors

WRONG = "w" * 40


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch):
    monkeypatch.setattr("runlake.settings.api_keys._logins", {})


def test_a_login_holds_for_every_api_of_the_process(backend, tmp_path):
    assert runlake.login(key=backend.api_key, host=backend.base_url + "/") is True
    api = runlake.Api()
    assert (api.settings.base_url, api.viewer.entity) == (backend.base_url, backend.entity)
    assert api.api_key == backend.api_key
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_login_wins_over_the_environment_and_an_argument_over_a_login(backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", WRONG)
    runlake.login(backend.api_key)
    assert runlake.Api().api_key == backend.api_key
    assert runlake.Api(api_key=WRONG).api_key == WRONG
    elsewhere = runlake.Api({"base_url": "http://127.0.0.1:1"})
    assert elsewhere.api_key == WRONG


def test_a_key_that_the_backend_does_not_know_is_not_used(backend):
    with pytest.raises(errors.AuthenticationError, match="could not be verified") as caught:
        runlake.login(key=WRONG, host=backend.base_url)
    assert WRONG not in str(caught.value)
    assert isinstance(caught.value, runlake.CommError)
    assert runlake.Api({"base_url": backend.base_url}).api_key is None


def test_a_login_without_verification_sends_nothing():
    assert runlake.login(WRONG, host="http://127.0.0.1:1", verify=False)
    assert runlake.Api().settings["base_url"] == "http://127.0.0.1:1"


def test_a_backend_that_is_down_is_an_authentication_error(monkeypatch):
    monkeypatch.setenv("RUNLAKE_RETRY_TIMEOUT", "0.2")
    with pytest.raises(errors.AuthenticationError, match=r"127\.0\.0\.1:1"):
        runlake.login(WRONG, host="http://127.0.0.1:1")


def test_a_login_without_a_key_finds_the_one_that_is_configured(backend, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    assert runlake.login(prompt=False) is False
    with pytest.raises(runlake.UsageError, match="WANDB_API_KEY"):
        runlake.login()
    host = backend.base_url.partition("//")[2]
    netrc = f"machine {host} login user password {backend.api_key}\n"
    (pathlib.Path.home() / ".netrc").write_text(netrc)
    assert runlake.login() is True
