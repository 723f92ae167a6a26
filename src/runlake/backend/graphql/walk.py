"""Walks over the pages of a list, which end whatever the backend answers."""

from __future__ import annotations

from runlake.backend.http.client import Client
from runlake.errors import ProtocolError

# So many pages in a row may bring nothing new: what moves behind the cursor while a list is walked
# fills pages with what is known already.
IDLE_PAGES = 5


class Walk:
    """Watches that each page of a list leads on.

    Parameters
    ----------
    client : Client
        The backend.
    what : str
        What is listed, in the words of the user: ``the runs of 'team/project'``.
    start : str, optional
        The cursor that the first page is asked for with.
    idle_pages : int
        How many pages in a row that bring nothing new and promise more are too many.
    """

    def __init__(
        self,
        client: Client,
        what: str,
        start: str | None = None,
        *,
        idle_pages: int = IDLE_PAGES,
    ) -> None:
        self._client = client
        self._what = what
        self._idle_pages = idle_pages
        self._seen = {start}
        self._n_pages = 0
        self._n_idle = 0
        self._problem: str | None = None

    def note(self, cursor: str | None, n_new: int, *, has_next: bool) -> None:
        """Note a page.

        Parameters
        ----------
        cursor : str or None
            Where the page says that the next one starts.
        n_new : int
            Objects on it that no page before had.
        has_next : bool
            The page promises another one.
        """
        self._n_pages += 1
        self._n_idle = 0 if n_new else self._n_idle + 1
        if not has_next:
            return
        if cursor is None:
            self._problem = f"page {self._n_pages:,} promises more, but not where that starts"
        elif cursor in self._seen:
            self._problem = f"page {self._n_pages:,} leads back to an earlier one"
        elif self._n_idle >= self._idle_pages:
            self._problem = f"page {self._n_pages:,} brings nothing new and promises more"
        self._seen.add(cursor)

    def check(self) -> None:
        """Check that the next page may be asked for.

        Raises
        ------
        ProtocolError
            If the walk would not end, or there is no way to its end.
        """
        if self._problem is not None:
            raise ProtocolError(
                f"{self._client.origin} lists {self._what} without end: {self._problem}. List "
                "again; if it stays so, the backend is at fault, and its operators should know.",
                origin=self._client.origin,
            )
