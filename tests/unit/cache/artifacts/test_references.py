"""References to entries of other artifacts."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.cache.artifacts.references import parse_artifact_reference


@given(st.binary(min_size=1, max_size=20))
def test_a_reference_has_the_id_in_hex(content):
    ref = f"wandb-artifact://{content.hex()}/a/b c.txt"
    assert parse_artifact_reference(ref) == (base64.b64encode(content).decode(), "a/b c.txt")


@pytest.mark.parametrize(
    "ref",
    [
        *(None, "", "s3://bucket/key", "wandb-artifact:///a", "wandb-artifact://xyz/a"),
        "wandb-artifact://[/a",
    ],
)
def test_another_url_is_none(ref):
    assert parse_artifact_reference(ref) is None
