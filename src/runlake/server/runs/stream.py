"""Parses and checks a file-stream request before any part of the request is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runlake.server.runs.lines import Row, parse_line
from runlake.server.runs.wire_json import MAX_BYTES, OBJECT_BYTES, check_size, read_json

HISTORY = "history"
OUTPUT = "output.log"
STREAMS = {
    "wandb-history.jsonl": HISTORY,
    "wandb-events.jsonl": "events",
    OUTPUT: "output",
}
SUMMARY = "wandb-summary.json"
INT64_BOUND = 2**63
# Texts up to this total length have few enough values for a request, whatever they contain.
CERTAINLY_FEW = MAX_BYTES // OBJECT_BYTES
# The protocol returns line counts as GraphQL's Int, which has 32 bits.
MAX_LINES = 2**31 - 1


class BadBody(Exception):
    """A file-stream request cannot be stored; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class SentLines:
    """Consecutive lines of one stream, such as the history, in one request.

    Parameters
    ----------
    offset : int
        Position of the first line.
    texts : tuple of str
        The lines as received.
    rows : tuple of dict
        The parsed lines, with dotted keys; empty if the stream is the console output.
    """

    offset: int
    texts: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def stop(self) -> int:
        """Position after the last line."""
        return self.offset + len(self.texts)


@dataclass(frozen=True, slots=True)
class StreamBody:
    """The content of one file-stream request.

    Parameters
    ----------
    streams : mapping of str to SentLines
        The lines of each stream; the streams are "history", "events" and "output".
    summary : str or None
        The complete summary, as a JSON object; None if the request has no summary.
    is_complete, is_preempting : bool
        Whether the run ends, and whether it announces its preemption.
    exit_code : int or None
        Exit code of a run that ends.
    """

    streams: Mapping[str, SentLines]
    summary: str | None
    is_complete: bool
    is_preempting: bool
    exit_code: int | None


def parse_stream(body: Mapping[str, Any]) -> StreamBody:
    """Parse and check a file-stream request.

    Parameters
    ----------
    body : mapping
        The parsed JSON of the request.

    Returns
    -------
    StreamBody
        The content of the request; all of its lines can be stored and exported.

    Raises
    ------
    BadBody
        If a line, except of the console output, is no JSON object, or its ``_step`` is not an
        integer from 0 to 2**63 - 2; if another part of the request has a wrong type; or if the
        lines have too many values.
    """
    files = body.get("files") or {}
    if not isinstance(files, dict):
        raise BadBody("'files' is no JSON object")
    exit_code = body.get("exitcode")
    if exit_code is not None and not _is_int64(exit_code):
        raise BadBody(f"exit code {exit_code!r:.40} is no integer")
    _check_values(files)
    streams = {}
    for name, stream in STREAMS.items():
        if files.get(name) is not None:
            streams[stream] = _lines(name, files[name], parse_line if stream != "output" else None)
    summaries = _lines(SUMMARY, files[SUMMARY], _check_object) if files.get(SUMMARY) else None
    return StreamBody(
        streams=streams,
        summary=summaries.texts[-1] if summaries and summaries.texts else None,
        is_complete=bool(body.get("complete")),
        is_preempting=bool(body.get("preempting")),
        exit_code=exit_code,
    )


def _check_values(files: Mapping[str, Any]) -> None:
    """Raise `BadBody` if the JSON values in the lines would take too much memory.

    Lines of console output are not JSON, and are not counted.
    """
    contents = [
        files[name].get("content")
        for name in (*STREAMS, SUMMARY)
        if name != OUTPUT and isinstance(files.get(name), dict)
    ]
    lines = [
        line
        for content in contents
        if isinstance(content, list)
        for line in content
        if isinstance(line, str)
    ]
    if sum(map(len, lines)) <= CERTAINLY_FEW:
        return
    try:
        check_size(lines)
    except ValueError as error:
        raise BadBody(f"the lines have {error}") from error


def _lines(name: str, given: Any, parse: Callable[[str], Row] | None) -> SentLines:
    if not isinstance(given, dict):
        raise BadBody(f"{name!r} is no JSON object")
    offset = given.get("offset") or 0
    lines = given.get("content") or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BadBody(f"the content of {name!r} is no list of lines")
    if not _is_int64(offset) or not 0 <= offset <= MAX_LINES - len(lines):
        raise BadBody(f"offset {offset!r:.40} of {name!r} is no position")
    rows = []
    for position, line in enumerate(lines if parse else (), start=offset):
        try:
            rows.append(parse(line) if parse else {})
        except ValueError as error:
            raise BadBody(f"line {position} of {name!r} cannot be stored: {error}") from error
    return SentLines(offset, tuple(lines), tuple(rows))


def _check_object(line: str) -> Row:
    value = read_json(line)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the sender's error, not the caller's
    return value


def _is_int64(value: Any) -> bool:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return is_integer and -INT64_BOUND <= value < INT64_BOUND
