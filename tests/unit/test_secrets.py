"""Values that look like keys are found by their form or by their name."""

import pytest

from runlake.lake.publishing.secrets import REDACTED, find_secrets, is_secret, redacted

KEY = "0123456789abcdef" * 2 + "01234567"
SECRETS = {
    "api_key": "abcdefgh12345678",
    "apiKey": "abcdefgh12345678",
    "WANDB_API_KEY": KEY,
    "anything": KEY,
    "openai": "sk-proj-abcdefghijklmnopqrstuv",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "hub": "hf_abcdefghijklmnopqrstuvwxyz",
    "github": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "password": "correct-horse",
    "db.passwd": "correct-horse",
    "auth_token": "abcdefghijkl",
    "token": "abcdefghijkl",
    "url": "postgres://user:hunter2@db/prod",
    "header": "Bearer abcdefghijklmnopqrstuvwxyz",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abcdefghijkl",
    "signed": "https://host/file?X-Amz-Signature=abcdef0123456789",
    "command": "python train.py --key sk-abcdefghijklmnopqrstuv",
}
HARMLESS = {
    "lr": 0.1,
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "tokenizer": "bert-base-uncased",
    "max_tokens": 4096,
    "num_tokens": "1000000000",
    "git_commit": KEY,
    "sha": KEY,
    "key": "loss",
    "sort_key": "validation/loss",
    "monitor_key": "validation/loss",
    "keyboard": "qwertyuiop",
    "api_key": "${API_KEY}",
    "api_key_env": "OPENAI_API_KEY",
    "password": None,
    "secret": True,
    "wandb_key": "",
    "author": "somebody-with-a-long-name",
    "url": "https://huggingface.co/datasets/imagenet",
    "path": "/data/checkpoints/run-0123456789abcdef",
    "token_embedding": "learned-absolute",
    "auth_token": "********",
    "text": "the secret of long training is patience",
}


@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_what_looks_like_a_key_is_found(name, value):
    assert is_secret(name, value)


@pytest.mark.parametrize(("name", "value"), HARMLESS.items())
def test_ordinary_values_are_not_keys(name, value):
    assert not is_secret(name, value)


def test_paths_name_the_place_and_never_the_value():
    config = {
        "lr": 0.1,
        "db": {"password": "correct-horse", "hosts": [{"token": "abcdefghijkl"}, "a"]},
        "args": ["--api-key", "abcdefgh12345678", "--lr", "0.1"],
        "sk-proj-abcdefghijklmnopqrstuv": 1,
    }
    found = list(find_secrets("config", config))
    assert found == [
        "config.db.password",
        "config.db.hosts[0].token",
        "config.args[1]",
        f"config.{REDACTED}",
    ]
    assert redacted("config", config) == {
        "lr": 0.1,
        "db": {"password": REDACTED, "hosts": [{"token": REDACTED}, "a"]},
        "args": ["--api-key", REDACTED, "--lr", "0.1"],
        REDACTED: 1,
    }
