"""Detect lists of a backend whose pages never end or are repeated."""

from __future__ import annotations

from runlake.backend.http.client import Client
from runlake.errors import InvalidType, ProtocolError

# An error is raised after this many consecutive pages without new objects. Fewer are allowed,
# because objects that move to a later place while the list is read are sent again.
IDLE_PAGES = 5


class Walk:
    """Checks that each page of a list leads to new objects.

    Parameters
    ----------
    client : Client
        Client of the backend.
    what : str
        What is listed, for the error message, such as ``the runs of 'team/project'``.
    start : str, optional
        Cursor of the request for the first page.
    idle_pages : int
        An error is raised after this number of consecutive pages without new objects.
    """

    def __init__(
        self,
        client: Client,
        what: str,
        start: str | None = None,
        *,
        idle_pages: int = IDLE_PAGES,
    ) -> None:
        given: object = start
        if given is not None and not isinstance(given, str):
            raise InvalidType(f"start must be a cursor of a list, as text, not {given!r}.")
        self._client = client
        self._what = what
        self._idle_pages = idle_pages
        self._seen = {start}
        self._n_pages = 0
        self._n_idle = 0
        self._problem: str | None = None

    def note(self, cursor: str | None, n_new: int, *, has_next: bool) -> None:
        """Record a page that was read; `check` raises an error if the page is wrong.

        Parameters
        ----------
        cursor : str or None
            Cursor of the next page.
        n_new : int
            Number of objects on the page that no earlier page had.
        has_next : bool
            True if the page announces a next page.
        """
        self._n_pages += 1
        self._n_idle = 0 if n_new else self._n_idle + 1
        if not has_next:
            return
        if cursor is None:
            self._problem = f"page {self._n_pages:,} announces a next page, but has no cursor"
        elif cursor in self._seen:
            self._problem = f"page {self._n_pages:,} leads back to an earlier page"
        elif self._n_idle >= self._idle_pages:
            self._problem = f"page {self._n_pages:,} has nothing new and announces a next page"
        self._seen.add(cursor)

    def check(self) -> None:
        """Check that the next page may be requested.

        Raises
        ------
        ProtocolError
            If the list would never end, or the next page has no cursor.
        """
        if self._problem is not None:
            raise ProtocolError(
                f"{self._client.origin} lists {self._what} without end: {self._problem}. List "
                "again; if this persists, report it to the operators of the backend.",
                origin=self._client.origin,
            )
