"""Console output of a run, as a lazy list of lines."""

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
        Time when the line was captured, as an aware ``datetime`` in UTC; None if the backend does
        not send a time.
    level : str
        ``error`` for a line of stderr, else empty.
    label : str
        Label of the process that printed the line; empty if only one process printed lines.
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

    Fetched lines are stored in this object. Call `Run.console_logs` again to see lines that were
    printed later.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : Run
        The run that printed the lines.
    per_page : int
        Lines per request.
    last : int, optional
        Fetch only this many last lines, in one request; the backend may return fewer.

    Raises
    ------
    InvalidArgument
        If ``per_page`` or ``last`` is not an integer of at least 1.
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
        # The query for the last lines takes no cursor: a second page would be the same lines.
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
    # The backend sends UTC times without a zone.
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
