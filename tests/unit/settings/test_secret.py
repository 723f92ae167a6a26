"""Secrets are shown and pickled nowhere; malformed keys are named by their source."""

import pickle

import pytest

from runlake.errors import SettingsError
from runlake.settings.secret import Secret, checked_key

KEY = "0123456789abcdef" * 2


def test_a_secret_is_shown_nowhere():
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    assert KEY not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)


def test_spaces_around_a_key_are_left_out():
    assert checked_key(f" {KEY} ", "x").reveal() == KEY


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (f"{KEY}\n", "a line break"),
        (f"{KEY} x", "a blank"),
        (f"{KEY}\t", "a blank"),
        (f"{KEY}é", "a letter beyond ASCII"),
        (f"{KEY}\x00", "a control character"),
        ("  ", "is blank"),
        (b"bytes", "of type bytes"),
    ],
)
def test_a_malformed_key_is_described_and_not_shown(key, what):
    with pytest.raises(SettingsError, match=what) as caught:
        checked_key(key, "WANDB_API_KEY")
    assert "WANDB_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.source == "WANDB_API_KEY"
