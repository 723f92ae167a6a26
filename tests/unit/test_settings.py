import pytest

from runlake.errors import SettingsError
from runlake.settings import load_settings


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
