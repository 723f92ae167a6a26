"""Parses the JSON of training scripts into values that can be stored."""

from __future__ import annotations

from typing import Any

from runlake.server.store.long_json import loads

MAX_DEPTH = 200
MAX_CONTAINERS = 500_000
MAX_VALUES = 2_000_000


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
        The body.

    Returns
    -------
    dict
        The JSON object.

    Raises
    ------
    ValueError
        If the body is not a JSON object, or has too many values. Each value takes about 100 bytes
        of memory. If a text in the body is itself JSON, the values in this text are counted
        too.
    """
    n_containers = content.count(b"[") + content.count(b"{")
    if n_containers > MAX_CONTAINERS or n_containers + content.count(b",") > MAX_VALUES:
        raise ValueError(
            f"more than {MAX_CONTAINERS:,} lists and objects, or {MAX_VALUES:,} values"
        )
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
