"""What a run printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.http.client import Client
from runlake.errors.screen import line_for_screen
from runlake.public.lists.pages import Page, Pages
from runlake.values import RunPath, check_count

if TYPE_CHECKING:
    from runlake.public.run.fields import RunFields


@dataclass(frozen=True)
class ConsoleLogLine:
    """A line that a run printed.

    Parameters
    ----------
    number : int
        Position in the log, from 0.
    timestamp : datetime or None
        When it was captured, aware UTC; None where the backend does not say.
    level : str
        ``error`` for what went to stderr, else empty.
    label : str
        Which of several processes printed it, else empty.
    content : str
        The text, without the line break.
    """

    number: int
    timestamp: datetime | None
    level: str
    label: str
    content: str


class ConsoleLogs(Pages[ConsoleLogLine]):
    """The lines that a run printed, oldest first, fetched page by page.

    Lines that were fetched are kept; call `Run.console_logs` again to see what came since.

    Parameters
    ----------
    client : Client
        The backend.
    run : Run
        The run.
    per_page : int
        Lines per request.
    last : int, optional
        Only the last lines, in one request; the backend may give fewer.

    Raises
    ------
    InvalidArgument
        If a number is no integer of at least 1.
    """

    _operation = "RunConsoleLog"

    def __init__(
        self, client: Client, run: RunFields, per_page: int = 1000, last: int | None = None
    ) -> None:
        super().__init__(client, per_page)
        self._last_lines = None if last is None else check_count(last, "last")
        self.run = run

    def _key(self, one: ConsoleLogLine) -> ConsoleLogLine:
        return one

    @property
    def _what(self) -> str:
        return f"the console lines of run '{self.run.entity}/{self.run.project}/{self.run.id}'"

    def _fetch(self, cursor: str | None) -> Page[ConsoleLogLine]:
        path = RunPath(self.run.entity, self.run.project, self.run.id)
        if self._last_lines is None:
            document = documents.RUN_CONSOLE_LOG_PAGE
            sizes: dict[str, Any] = {"first": self.per_page, "after": cursor}
        else:
            document = documents.RUN_CONSOLE_LOG_TAIL
            sizes = {"last": self._last_lines}
        found = query_run(self._client, document, path, run_variable="runName", **sizes)
        page = self._page(found.get("logLines"))
        return page if self._last_lines is None else replace(page, has_next=False)

    def _open(self, edge: dict[str, Any]) -> ConsoleLogLine:
        return _line(edge["node"])

    def __repr__(self) -> str:
        return line_for_screen(f"<ConsoleLogs {self.run.entity}/{self.run.project}/{self.run.id}>")


def _line(node: Mapping[str, Any]) -> ConsoleLogLine:
    return ConsoleLogLine(
        number=int(node["number"]),
        timestamp=_moment(node.get("timestamp")),
        level=str(node.get("level") or ""),
        label=str(node.get("label") or ""),
        content=str(node.get("line") or ""),
    )


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # The backend leaves out the zone, which is UTC.
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
