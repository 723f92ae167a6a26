"""Addresses of pages keep any name."""

import asyncio
import io
import json
from urllib.parse import urlsplit

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runlake.pages.addresses import AsSent, decoded, encoded, path_of
from runlake.pages.login import is_from_here, safe_path
from runlake.pages.responses import attachment, data, plain_json

NAMES = st.text(st.characters(exclude_categories=()), min_size=1, max_size=20)


def request_of(path="/", headers=(), root=""):
    named = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": root,
            "query_string": b"",
            "headers": named,
            "server": ("127.0.0.1", 80),
        }
    )


def answer_of(app, path):
    messages = []

    async def send(message):
        messages.append(message)

    asyncio.run(app(request_of(path).scope, None, send))
    return messages[0]["status"], b"".join(one.get("body", b"") for one in messages[1:])


@given(NAMES)
def test_a_name_is_the_same_after_encoding(name):
    assert decoded(encoded(name)) == name
    assert encoded(name).isascii()
    assert not set(encoded(name)) & set("/?#\"'<> ")


@given(st.lists(NAMES, min_size=3, max_size=3))
def test_requests_are_routed_by_the_parts_of_their_path(names):
    seen = []

    async def note(request: Request) -> Response:
        seen.append([request.path_params[name] for name in ("entity", "project", "run_id")])
        return JSONResponse(None)

    app = AsSent(Starlette(routes=[Route("/{entity:name}/{project:name}/{run_id:name}", note)]))
    assert answer_of(app, path_of(names))[0] == 200
    assert seen == [names]


@given(st.text(max_size=30))
def test_a_path_after_the_login_never_leaves_the_site(text):
    path = safe_path(text)
    assert path in {"", text}
    if path:
        parts = urlsplit(path)
        assert (parts.scheme, parts.netloc) == ("", "")
        assert path[0] == "/"


@pytest.mark.parametrize(
    ("headers", "is_here"),
    [
        ([("host", "a:1")], True),
        ([("host", "a:1"), ("origin", "http://a:1")], True),
        ([("host", "a:1"), ("origin", "http://a:2")], False),
        ([("host", "a:1"), ("origin", "null")], False),
        ([("host", "a:1"), ("origin", "http://[")], False),
        ([("host", "a:1"), ("sec-fetch-site", "cross-site")], False),
        ([("host", "a:1"), ("sec-fetch-site", "same-site")], False),
    ],
)
def test_a_form_is_accepted_from_pages_of_the_site(headers, is_here):
    assert is_from_here(request_of(headers=headers)) is is_here


@given(NAMES)
def test_the_name_of_a_download_adds_no_header(name):
    header = attachment(name)
    assert header.isascii()
    assert header.isprintable()


def test_data_has_the_same_values_in_every_format():
    frame = pl.DataFrame(
        {"a": [1.5, float("nan"), float("inf"), None], "b": [[1], [], None, [2]], "c,\n": ["x"] * 4}
    )
    rows = json.loads(bytes(data(request_of(), frame, "json").body))
    assert [row["a"] for row in rows] == [1.5, "NaN", "Infinity", None]
    assert pl.read_parquet(io.BytesIO(data(request_of(), frame, "parquet").body)).equals(
        frame, null_equal=True
    )
    text = pl.read_csv(io.BytesIO(data(request_of(), frame, "csv").body))
    assert text["b"].to_list() == ["[1]", "[]", None, "[2]"]
    assert text.columns == frame.columns


def test_data_of_no_rows_is_a_table_too():
    for suffix in ("json", "csv", "parquet"):
        assert data(request_of(), [], suffix).status_code == 200


@pytest.mark.parametrize("n_rows", [199, 200, 201, 400, 1_001])
def test_a_long_table_is_one_list_in_json(n_rows):
    rows = [{"a": at, "b": [float("nan"), "],["]} for at in range(n_rows)]
    found = json.loads(bytes(data(request_of(), rows, "json").body))
    assert found == [{"a": at, "b": ["NaN", "],["]} for at in range(n_rows)]


def test_json_has_no_values_that_parsers_refuse():
    assert plain_json({"a": [float("-inf"), {1: b"x"}], "b": True}) == {
        "a": ["-Infinity", {"1": "b'x'"}],
        "b": True,
    }
