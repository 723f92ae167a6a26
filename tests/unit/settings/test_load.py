import pickle
from dataclasses import fields
from pathlib import Path
from typing import cast

import pytest

from runlake.errors import SettingsError
from runlake.settings import load_settings


def key_of(settings):
    assert settings.api_key is not None
    return settings.api_key.reveal()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("RUNLAKE_OFFLINE", "1", "offline", True),
        ("RUNLAKE_OFFLINE", "off", "offline", False),
        ("RUNLAKE_CACHE_MAX_BYTES", "20GB", "cache_max_bytes", 20 * 10**9),
        ("RUNLAKE_MAX_BANDWIDTH", "50 MB", "max_bandwidth", 50 * 10**6),
        ("RUNLAKE_REQUESTS_PER_SECOND", "0.5", "requests_per_second", 0.5),
        ("RUNLAKE_LOCKING", "SOFT", "locking", "soft"),
    ],
)
def test_a_variable_becomes_a_value(monkeypatch, variable, text, name, value):
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RUNLAKE_CACHE_MAX_BYTES", "much"),
        ("RUNLAKE_CACHE_MAX_BYTES", "0"),
        ("RUNLAKE_MAX_BANDWIDTH", "-1"),
        ("RUNLAKE_REQUESTS_PER_SECOND", "0"),
        ("RUNLAKE_REQUESTS_PER_SECOND", "inf"),
        ("RUNLAKE_REQUESTS_PER_SECOND", "nan"),
        ("RUNLAKE_LOCKING", "none"),
    ],
)
def test_a_value_that_makes_no_sense_is_an_error_that_names_the_variable(
    monkeypatch, variable, text
):
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError, match=variable) as caught:
        load_settings()
    assert caught.value.setting == variable


def test_an_argument_wins_over_the_variable(monkeypatch):
    monkeypatch.setenv("RUNLAKE_OFFLINE", "1")
    assert load_settings(offline=False).offline is False
    assert load_settings(offline=True).offline is True


KEY = "0123456789abcdef0123456789abcdef01234567"
BLANKS = [
    "http://host\n",
    " http://host",
    "http://host ",
    "http://ho st",
    "http://host\t/x",
    "http://h\x1b",
]


@pytest.mark.parametrize("url", BLANKS)
def test_a_blank_in_a_url_is_an_error_that_names_its_source(monkeypatch, url):
    monkeypatch.setenv("WANDB_BASE_URL", url)
    with pytest.raises(SettingsError, match=r"WANDB_BASE_URL has a blank .* at character"):
        load_settings()
    with pytest.raises(SettingsError, match="app_url has a blank"):
        load_settings({"base_url": "http://host", "app_url": url})


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://h:x", "http://h:99999", "http://h:0", "host:80", "ftp://h", "http://", 5],
)
def test_an_invalid_url_is_an_error_that_names_its_source(monkeypatch, url):
    with pytest.raises(SettingsError, match=r"base_url .* is not an http") as caught:
        load_settings({"base_url": url})
    assert caught.value.source == "base_url"
    monkeypatch.setenv("WANDB_BASE_URL", str(url))
    with pytest.raises(SettingsError, match=r"WANDB_BASE_URL .* is not an http"):
        load_settings()


@pytest.mark.parametrize(
    "url", ["http://u:geheim@host", "http://u:geheim@[", "http://u:geheim@h:x"]
)
def test_no_error_about_a_url_shows_a_password(url):
    with pytest.raises(SettingsError) as caught:
        load_settings({"base_url": url})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("odd", ["\n", "\r\n", "\x00", "é", "\u200b", " x", "\t"])
def test_an_api_key_with_odd_characters_is_an_error_that_names_its_source(monkeypatch, odd):
    with pytest.raises(SettingsError, match="API key of api_key") as caught:
        load_settings(api_key=KEY + odd)
    assert KEY not in str(caught.value)
    if "\x00" not in odd:
        monkeypatch.setenv("WANDB_API_KEY", KEY + odd)
        with pytest.raises(SettingsError, match="API key of WANDB_API_KEY"):
            load_settings()


@pytest.mark.parametrize("timeout", ["5", 0, -1, float("nan"), float("inf"), True])
def test_an_invalid_timeout_is_an_error(timeout):
    with pytest.raises(SettingsError, match=r"timeout=.* is not a positive number"):
        load_settings(timeout=timeout)


def test_directories_may_begin_with_a_tilde(monkeypatch):
    home = Path.home()
    monkeypatch.setenv("WANDB_CACHE_DIR", "~/cache")
    monkeypatch.setenv("WANDB_ARTIFACT_DIR", "~/artifacts")
    monkeypatch.setenv("WANDB_CONFIG_DIR", "~/config")
    (home / "config").mkdir()
    (home / "config" / "settings").write_text("[default]\nentity = somebody\n")
    settings = load_settings()
    assert settings.cache_dir == home / "cache" / "runlake"
    assert settings.artifact_dir == home / "artifacts"
    assert settings.entity == "somebody"
    monkeypatch.setenv("NETRC", "~/mine")
    (home / "mine").write_text(f"machine host login user password {KEY}\n")
    assert key_of(load_settings({"base_url": "http://host"})) == KEY


@pytest.mark.parametrize(
    "name", ["WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR", "WANDB_CONFIG_DIR", "NETRC"]
)
def test_the_home_of_a_user_who_is_none_is_an_error_that_names_the_variable(monkeypatch, name):
    monkeypatch.setenv(name, "~nobody-of-that-name/x")
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_a_user_without_a_home_has_settings(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError()))
    assert load_settings().api_key is None


@pytest.mark.parametrize("machine", ["machine host", "default"])
def test_a_netrc_in_latin_1_is_read_and_its_default_counts(machine):
    text = f"# Schlüssel\n{machine} login user password {KEY}\n"
    (Path.home() / ".netrc").write_bytes(text.encode("latin-1"))
    assert key_of(load_settings({"base_url": "http://host"})) == KEY


def test_a_broken_netrc_is_a_warning_that_names_file_and_line():
    place = Path.home() / ".netrc"
    place.write_text(f"machine host login user password {KEY}\n\nmachin host\n")
    with pytest.warns(UserWarning, match=r"\.netrc' are not used: bad .* line 3"):
        settings = load_settings({"base_url": "http://host"})
    assert settings.api_key is None
    with pytest.warns(UserWarning, match=r"\.netrc"):
        assert key_of(load_settings(api_key=KEY)) == KEY


def test_a_netrc_that_cannot_be_read_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path))
    with pytest.warns(UserWarning, match="not used: Is a directory"):
        assert load_settings({"base_url": "http://host"}).api_key is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"entity = x\n", "not an INI file in line 1"),
        (b"[default]\nnonsense\n", "not an INI file in line 2"),
        (b"[default]\nentity = a\nentity = b\n", "not an INI file in line 3"),
        ("[default]\nentity = Müller\n".encode("latin-1"), "not UTF-8 in line 2"),
        (b"\xff\xfe[\x00d\x00", "not UTF-8 in line 1"),
    ],
)
def test_a_broken_settings_file_is_an_error_that_names_file_and_line(content, what):
    place = Path.home() / ".config" / "wandb" / "settings"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with pytest.raises(SettingsError, match=f"settings' is {what}") as caught:
        load_settings()
    assert caught.value.source == str(place)


def test_a_settings_file_may_begin_with_a_byte_order_mark():
    place = Path.home() / ".config" / "wandb" / "settings"
    place.parent.mkdir(parents=True)
    place.write_bytes("\ufeff[default]\nentity = Müller\n".encode())
    assert load_settings().entity == "Müller"


def test_no_local_variable_of_ours_shows_a_key_that_settings_were_given(monkeypatch):
    place = Path.home() / ".config" / "wandb" / "settings"
    place.parent.mkdir(parents=True)
    place.write_text(f"[default]\napi_key = {KEY}\n")
    (Path.home() / ".netrc").write_text(f"default login user password {KEY}\n")
    monkeypatch.setenv("RUNLAKE_LOCKING", "nonsense")
    with pytest.raises(SettingsError) as caught:
        load_settings(api_key=KEY)
    step = caught.tb.tb_next
    while step is not None:
        assert KEY not in repr(step.tb_frame.f_locals)
        step = step.tb_next


EVERY = [
    ("WANDB_ENTITY", "team", "entity", "team"),
    ("WANDB_PROJECT", "proj", "project", "proj"),
    ("WANDB_BASE_URL", "http://h:8080/", "base_url", "http://h:8080"),
    ("WANDB_APP_URL", "http://app/", "app_url", "http://app"),
    ("WANDB_HTTP_TIMEOUT", "2.5", "timeout", 2.5),
    ("WANDB_INSECURE_DISABLE_SSL", "true", "verify_ssl", False),
    ("RUNLAKE_RETRY_TIMEOUT", "7", "retry_timeout", 7.0),
    ("RUNLAKE_LOCK_TIMEOUT", "8", "lock_timeout", 8.0),
    ("RUNLAKE_MAX_WORKERS", "3", "max_workers", 3),
    ("RUNLAKE_PROGRESS", "0", "progress", False),
    ("RUNLAKE_OFFLINE", "yes", "offline", True),
    ("RUNLAKE_LOCKING", "flock", "locking", "flock"),
    ("RUNLAKE_CACHE_MAX_BYTES", "1k", "cache_max_bytes", 1000),
    ("RUNLAKE_REQUESTS_PER_SECOND", "2", "requests_per_second", 2.0),
    ("RUNLAKE_MAX_BANDWIDTH", "1 KiB", "max_bandwidth", 1024),
]


@pytest.mark.parametrize(("variable", "text", "name", "value"), EVERY)
def test_each_variable_sets_its_setting_and_no_other(monkeypatch, variable, text, name, value):
    monkeypatch.delenv("RUNLAKE_RETRY_TIMEOUT")
    defaults = load_settings()
    monkeypatch.setenv(variable, text)
    settings = load_settings()
    assert settings[name] == settings.get(name) == value
    changed = {one.name for one in fields(settings) if settings[one.name] != defaults[one.name]}
    # The application's address follows that of the API.
    assert changed - {"app_url"} == {name} - {"app_url"}
    monkeypatch.setenv(variable, "")
    assert load_settings() == defaults


@pytest.mark.parametrize(
    "variable",
    [
        *("WANDB_HTTP_TIMEOUT", "RUNLAKE_RETRY_TIMEOUT", "RUNLAKE_LOCK_TIMEOUT"),
        *("RUNLAKE_MAX_WORKERS", "RUNLAKE_REQUESTS_PER_SECOND"),
    ],
)
@pytest.mark.parametrize("text", ["x", "-1", "0", "nan", "inf", "1,5"])
def test_a_number_that_is_not_above_0_names_its_variable(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(
        SettingsError, match=f"{variable}='{text}' is not a positive number"
    ) as told:
        load_settings()
    assert told.value.setting == variable


AUTHORITIES = ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.mark.parametrize("variable", AUTHORITIES)
def test_authorities_are_an_existing_file_or_directory(monkeypatch, variable, tmp_path):
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert load_settings().ca_bundle == str(tmp_path)
    monkeypatch.setenv(variable, str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_the_first_named_authorities_are_used(monkeypatch, tmp_path):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    assert load_settings().ca_bundle == str(tmp_path / "REQUESTS_CA_BUNDLE")


@pytest.mark.parametrize(
    ("api", "app"),
    [
        ("https://api.wandb.ai", "https://wandb.ai"),
        ("https://api.example.com", "https://app.example.com"),
        ("http://host:8080", "http://host:8080"),
    ],
)
def test_the_applications_address_follows_that_of_the_api(api, app):
    assert load_settings({"base_url": api}).app_url == app


def test_an_override_wins_over_variable_and_file(monkeypatch):
    place = Path("wandb") / "settings"
    place.parent.mkdir()
    place.write_text("[default]\nproject = file\nentity = file\n")
    monkeypatch.setenv("WANDB_ENTITY", "variable")
    settings = load_settings({"project": "override"})
    assert (settings.project, settings.entity) == ("override", "variable")
    assert load_settings().project == "file"
    assert load_settings({"project": None, "run": "x", "organization": "y"}).project == "file"
    with pytest.raises(SettingsError, match="Unknown override 'nonsense'"):
        load_settings({"nonsense": 1})


def test_overrides_that_are_no_mapping_are_refused_without_their_value():
    with pytest.raises(SettingsError, match="must be a mapping") as caught:
        load_settings(cast("dict[str, object]", "k" * 40))
    assert "kkk" not in str(caught.value)


def test_keys_are_found_by_argument_variable_file_and_netrc_in_this_order(monkeypatch):
    def key(letter):
        return letter * 40

    def found(**arguments):
        secret = load_settings({"base_url": "http://host:80"}, **arguments).api_key
        return secret and secret.reveal()

    (Path.home() / ".netrc").write_text(f"machine host:80 login user password {key('a')}\n")
    assert found() == key("a")
    place = Path("wandb") / "settings"
    place.parent.mkdir()
    place.write_text(f"[default]\nbase_url = http://host:80/\napi_key = {key('b')}\n")
    assert found() == key("b")
    monkeypatch.setenv("WANDB_API_KEY", key("c"))
    assert found() == key("c")
    assert found(api_key=key("d")) == key("d")


def test_settings_are_looked_up_by_name_as_in_the_sdk():
    settings = load_settings()
    assert settings["base_url"] == settings.base_url
    assert "entity" in settings
    assert 0 not in settings
    assert dict(settings)["base_url"] == settings.base_url
    assert "api_key" not in list(settings)
    assert settings.get("nonsense", 5) == 5
    with pytest.raises(KeyError):
        settings["nonsense"]


def test_a_pickle_of_settings_has_no_key(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    content = pickle.dumps(load_settings())
    assert KEY.encode() not in content
    assert pickle.loads(content).api_key.reveal() == KEY
    monkeypatch.delenv("WANDB_API_KEY")
    assert pickle.loads(content).api_key is None
