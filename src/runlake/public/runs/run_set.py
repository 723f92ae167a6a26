"""`RunSet`: the interface of a list of runs, on which the methods over many runs are built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from runlake.backend.http.client import Client
from runlake.history.runs.open import ListedRun, RunSource
from runlake.values import Question

if TYPE_CHECKING:
    from runlake.public.run.run import Run


T = TypeVar("T")


class RunSet(ABC):
    """Runs that are read together, in a fixed order.

    The methods that read many runs, such as `RunScans.scan`, use only the members below. `RunList`
    implements these members for the runs of a backend; other kinds of lists may implement them too.
    """

    # The client's settings limit how many runs are read at once.
    _client: Client

    @property
    @abstractmethod
    def _place(self) -> str:
        """A name for this set of runs in messages, such as the path of the project."""

    @property
    @abstractmethod
    def _source(self) -> RunSource:
        """The source, such as a backend, from which the histories of the runs are read."""

    @abstractmethod
    def _listed(self, *, is_full: bool = False) -> list[ListedRun]:
        """Return the runs with their present states, heartbeats and numbers of logged rows.

        If ``is_full`` is True, the caller also needs config and summary of the runs. A list that
        has not been fetched yet is then fetched together with these two fields.
        """

    def _listed_and_read(
        self,
        question: Question | None,
        read: Callable[[Sequence[ListedRun]], T],
        *,
        is_full: bool = False,
    ) -> tuple[Sequence[ListedRun], T]:
        """Return the runs as `_listed` does, and what ``read`` returns for these runs.

        ``question`` names the keys and steps that ``read`` reads, if the caller knows them before
        the runs are listed. Then ``read`` may be called while a request is under way, and again if
        the response shows that a run has changed.
        """
        del question  # for lists that request something
        listed = self._listed(is_full=is_full)
        return listed, read(listed)

    @abstractmethod
    def _ids(self) -> list[str]:
        """Return the value of the column ``run_id`` for each run, in order."""

    @abstractmethod
    def _runs(self) -> list[Run]:
        """Return all runs as `Run` objects, in order."""

    @abstractmethod
    def _full_runs(self) -> list[Run]:
        """Return all runs as `Run` objects with config and summary loaded, in order."""

    @abstractmethod
    def _light_fields(self) -> list[dict[str, Any]]:
        """Return the fields of each run, as the backend names them, without config and summary."""

    @abstractmethod
    def _all_fields(self) -> list[dict[str, Any]]:
        """Return all fields of each run, as the backend names them."""
