"""The context of a GraphQL request: its user, the stores, and checks of access."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from runlake.server.artifacts.artifacts import ArtifactStore
from runlake.server.graphql.budget import Budget
from runlake.server.refused import Refused
from runlake.server.runs.files import RunFiles
from runlake.server.runs.runs import RunStore
from runlake.server.store.accounts import User
from runlake.server.store.objects import Storage

# Runs whose large columns are read together: few, because a column of a run may have megabytes.
READ_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Context:
    """The user and the stores of one GraphQL request, with access checks.

    Parameters
    ----------
    user : User or None
        The user of the request's API key; None without a key.
    operation : str
        The request's ``operationName``; empty in requests of the SDK's Python code.
    knows_objects : bool
        True if the client identifies a cached export by the name of its stored file (object); the
        SDK identifies a cached export by its position in the list of exports.
    runs, run_files, artifacts, storage : RunStore, RunFiles, ArtifactStore, Storage
        The server's stores.
    budget : Budget
        Limits of the time of the request and of the length of the response.
    """

    user: User | None
    operation: str
    knows_objects: bool
    runs: RunStore
    run_files: RunFiles
    artifacts: ArtifactStore
    storage: Storage
    budget: Budget = field(default_factory=Budget)
    _listed: dict[int, list[int]] = field(default_factory=dict)
    _large: dict[str, dict[int, Any]] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The entity of the user; raises `Refused` if the request has no user."""
        if self.user is None:
            raise Refused("user is not logged in")
        return self.user.name

    def entity(self, name: str | None) -> str:
        """Return the user's entity; raise `Refused` if ``name`` is the entity of another user."""
        if name not in {None, "", self.owner}:
            raise Refused(f"permission denied for entity {name!r}")
        return self.owner

    def run(self, entity: str | None, project: str | None, name: str) -> sqlite3.Row:
        """Return a run; raise `Refused` if it does not exist or the user may not see it."""
        run = self.runs.find(self.entity(entity), project or "uncategorized", name)
        if run is None:
            raise Refused(f"run {entity}/{project}/{name} not found")
        return run

    def list_runs(self, runs: list[sqlite3.Row]) -> None:
        """Remember the runs that a query lists; `large` then reads a column of several at once.

        Parameters
        ----------
        runs : list of Row
            The rows of the runs.
        """
        numbers = [run["id"] for run in runs]
        for start in range(0, len(numbers), READ_TOGETHER):
            together = numbers[start : start + READ_TOGETHER]
            self._listed.update(dict.fromkeys(together, together))

    def forget_large(self) -> None:
        """Forget the large columns that `large` has read, because a mutation may change them."""
        self._large.clear()

    def large(self, run: sqlite3.Row, column: str) -> Any:
        """Return a large column of a run, such as ``config``; raise `Refused` for a deleted run."""
        if column in run.keys():  # noqa: SIM118 - a Row holds values, not names
            return run[column]
        number, known = run["id"], self._large.setdefault(column, {})
        if number not in known:
            known.update(self.runs.large_values(column, self._listed.get(number, [number])))
        if number not in known:
            raise Refused("the run was deleted")
        return known[number]
