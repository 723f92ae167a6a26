"""Parses the JSON of training scripts into values that can be stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from runlake.server.store.long_json import loads

MAX_DEPTH = 200
# Estimated memory in bytes: of a list and an object with one entry each, and of each further entry.
LIST_BYTES, OBJECT_BYTES, VALUE_BYTES = 64, 256, 64
MAX_BYTES = 256 << 20
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def read_json(text: str) -> Any:
    r"""Parse JSON; ``NaN`` and ``Infinity``, which the SDK writes, are accepted as numbers.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    Any
        The value. Halves of surrogate pairs, which UTF-8 cannot represent, become U+FFFD, as in Go.

    Raises
    ------
    ValueError
        If the text is not JSON, or is nested deeper than `MAX_DEPTH`.

    Examples
    --------
    >>> read_json('{"loss": NaN}')
    {'loss': nan}
    >>> read_json('"a\\ud83d"') == "a\ufffd"
    True
    """
    try:
        value = loads(text)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if "\\ud" in text or "\\uD" in text:
        value = _without_surrogates(value)
    return value


def read_body(content: bytes) -> dict[str, Any]:
    """Parse the body of a request; an empty body means ``{}``.

    Parameters
    ----------
    content : bytes
        The body in UTF-8.

    Returns
    -------
    dict
        The JSON object.

    Raises
    ------
    ValueError
        If the body is not a JSON object, is nested deeper than `MAX_DEPTH`, or has too many values.
        If a string in the body is itself JSON, the values in this string are counted too.
    """
    check_size([content])
    return _read_object(content)


def read_stream(content: bytes) -> dict[str, Any]:
    """Parse the body of a file-stream request, like `read_body`.

    Unlike `read_body`, this does not count values inside strings, because a string may be a line of
    console output that only looks like JSON. `runlake.server.runs.stream` counts the values in the
    strings that are JSON.
    """
    if _estimate(content) > MAX_BYTES:
        check_size(_outside_strings(content))
    return _read_object(content)


def check_size(texts: Iterable[str | bytes]) -> None:
    """Raise `ValueError` if the values in JSON texts would take too much memory when parsed."""
    n_bytes = 0
    for text in texts:
        n_bytes += _estimate(text)
        if n_bytes > MAX_BYTES:
            raise ValueError(f"so many values that they would take more than {MAX_BYTES:,} bytes")


def _estimate(text: str | bytes) -> int:
    if isinstance(text, bytes):
        n_lists, n_objects, n_more = (text.count(mark) for mark in (b"[", b"{", b","))
    else:
        n_lists, n_objects, n_more = (text.count(mark) for mark in "[{,")
    return LIST_BYTES * n_lists + OBJECT_BYTES * n_objects + VALUE_BYTES * n_more


def _outside_strings(content: bytes) -> Iterator[bytes]:
    end = 0
    for found in STRING.finditer(content):
        yield content[end : found.start()]
        end = found.end()
    yield content[end:]


def _read_object(content: bytes) -> dict[str, Any]:
    body = read_json(content.decode("utf-8", "replace")) if content else {}
    if not isinstance(body, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the sender's error, not the caller's
    return body


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _depth(value: Any) -> int:
    depth = 0
    level = [value]
    while level := [
        item
        for holder in level
        if isinstance(holder, (dict, list))
        for item in (holder.values() if isinstance(holder, dict) else holder)
    ]:
        depth += 1
        if depth > MAX_DEPTH:
            break
    return depth
