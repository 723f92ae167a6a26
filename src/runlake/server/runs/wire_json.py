"""Parses the JSON of training scripts into values that can be stored."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 200


def read_json(text: str) -> Any:
    r"""Parse JSON; ``NaN`` and ``Infinity`` are numbers, as the SDK writes them.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    Any
        The value. Lone surrogates, which no file can contain, become U+FFFD, as in Go.

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
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if "\\ud" in text or "\\uD" in text:
        value = json.loads(_without_surrogates(json.dumps(value, ensure_ascii=False)))
    return value


def read_body(content: bytes) -> dict[str, Any]:
    """Parse the body of a request; ValueError if it is not a JSON object. Empty means ``{}``."""
    body = read_json(content.decode("utf-8", "replace")) if content else {}
    if not isinstance(body, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the sender's error, not the caller's
    return body


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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
