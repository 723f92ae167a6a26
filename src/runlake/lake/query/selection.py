"""Define `Selection`, which filters and orders runs of a lake, and `LakeRun`, a found run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from runlake.cache.layout import RunDirectory
from runlake.cache.upkeep.run_query import query_runs
from runlake.errors import InvalidArgument
from runlake.lake.query.fields import find_field
from runlake.lake.query.filters import compile_filters
from runlake.lake.query.logged_keys import LoggedKeys
from runlake.lake.query.members import add_functions
from runlake.lake.query.sql_text import Sql, build
from runlake.values import DEFAULT_ORDER, RunPath

# A run's name in the column ``run_id``; then its backend, entity, project, id and directory.
FoundRow: TypeAlias = tuple[str, tuple[Any, ...]]
# Columns that name a run, and the index of the column of the id.
PLACE = ("backend", "entity", "project", "run_id")
ID = 3
MAX_ROWS = 2**63 - 1  # the largest integer of SQLite
CREATION = ("created_at", "createdAt")
# Runs with equal values of the field that orders them are ordered by these columns.
TIES = ("runs.created_us", "runs.entity", "runs.project", "runs.run_id", "runs.directory")


@dataclass(frozen=True)
class LakeRun:
    """A run of a lake.

    Parameters
    ----------
    root : Path
        Root of the cache.
    backend : str
        Root of the API of the run's backend.
    path : RunPath
        The path of the run.
    run_id : str
        The run's name in the column ``run_id``: the id alone if no other run of the same list has
        this id, else ``entity/project/id``. If two backends have a run with this path, the
        backend's host comes before the path.
    relative : str
        The run's directory relative to the root of the cache.
    """

    root: Path
    backend: str
    path: RunPath
    run_id: str
    relative: str

    @cached_property
    def directory(self) -> RunDirectory:
        """The run's directory.

        The object is created at its first use, because a filter can find thousands of runs.
        """
        return RunDirectory(self.root, self.backend, self.path)


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters that choose runs of a lake, and the order of the chosen runs.

    Parameters
    ----------
    root : Path
        Root of the cache.
    filters : mapping
        Plain JSON in the language of `Api.runs`.
    order : str
        ``+`` or ``-``, and the field that orders the runs; ``-`` means descending.
    directories : tuple of str or None
        Select only runs with these directories, relative to the root; None means all runs.
    limit, offset : int or None, int
        Maximum number of runs, None for no limit; and number of runs to skip at the beginning.

    Raises
    ------
    InvalidArgument
        If ``filters`` or ``order`` is wrong.
    """

    root: Path
    filters: Mapping[str, Any] = field(default_factory=dict)
    order: str = DEFAULT_ORDER
    directories: tuple[str, ...] | None = None
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        # A wrong filter or order raises its error here, not in the first query.
        compile_filters(self.filters)
        self._order()

    def narrowed(self, filters: Mapping[str, Any]) -> Selection:
        """Return this selection with more filters, which the runs must match too."""
        both = [dict(one) for one in (self.filters, filters) if one]
        joined = {"$and": both} if len(both) > 1 else both[0] if both else {}
        return replace(self, filters=joined)

    def find(self) -> list[LakeRun]:
        """Return the selected runs, as the catalog has them now."""
        return [self.run_of(found) for found in self.find_rows()]

    def find_rows(self) -> list[FoundRow]:
        """Return the selected runs as plain rows, which costs a fraction of `find`."""
        rows = self.rows([Sql(f"runs.{name}") for name in (*PLACE, "directory")])
        return list(zip(names_of(rows), rows, strict=True))

    def run_of(self, found: FoundRow) -> LakeRun:
        """Convert a row from `find_rows` to a `LakeRun`."""
        label, (backend, *names, directory) = found
        return LakeRun(self.root, backend, RunPath(*names), label, directory)

    def count(self) -> int:
        """Return how many runs match the filters now, without regard to limit and offset."""
        return int(self._query([Sql("count(*)")], ())[0][0])

    def rows(self, columns: Sequence[Sql]) -> list[tuple[Any, ...]]:
        """Return the given columns of the selected runs, one row per run."""
        return self._query(columns, self._order())

    def _query(self, columns: Sequence[Sql], order: Sequence[Sql]) -> list[tuple[Any, ...]]:
        condition = compile_filters(self.filters)
        tests = [*condition.probes, build("({})", condition.sql)]
        if self.directories is not None:
            listed = "SELECT value FROM json_each(?)"
            tests.append(Sql(f"runs.directory IN ({listed})", (json.dumps(self.directories),)))
        parts = [*columns, *tests, *order]
        query = (
            f"SELECT {', '.join(part.text for part in columns)} FROM runs "
            f"WHERE {' AND '.join(part.text for part in tests)}"
        )
        values = [value for part in parts for value in part.values]
        if order:
            query += f" ORDER BY {', '.join(part.text for part in order)} LIMIT ? OFFSET ?"
            values += [
                # To SQLite, a negative LIMIT means no limit.
                -1 if self.limit is None else min(self.limit, MAX_ROWS),
                min(self.offset, MAX_ROWS),
            ]
        logged = LoggedKeys(self.root)
        found = query_runs(self.root, query, values, partial(add_functions, logged=logged))
        logged.check()
        return found

    def _order(self) -> list[Sql]:
        """Return the terms after ORDER BY; runs that lack the field that orders runs come last."""
        name = self.order.lstrip("+-")
        if len(self.order) - len(name) > 1 or not name:
            raise InvalidArgument(
                f"order must be a field after '+' or '-', such as '-created_at', not "
                f"{self.order!r}."
            )
        direction = "DESC" if self.order.startswith("-") else "ASC"
        if name in CREATION:
            # No term for nulls if they are last anyway: an index then gives the order.
            first = [] if direction == "DESC" else [Sql("runs.created_us IS NULL")]
            return [*first, *(Sql(f"{column} {direction}") for column in TIES)]
        found = find_field(name)
        if found.elements or found.value.text == "NULL":
            raise InvalidArgument(f"Runs cannot be ordered by {name!r}.")
        return [
            build("{} IS NULL", found.value),
            build(f"{{}} {direction}", found.value),
            *(Sql(f"{column} ASC") for column in TIES),
        ]


def names_of(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return each run's name in the column ``run_id``; see `LakeRun.run_id`.

    Parameters
    ----------
    rows : sequence of sequence
        Rows that begin with backend, entity, project and id of a run.
    """
    ids = [row[ID] for row in rows]
    if len(set(ids)) == len(ids):
        return ids
    names = [list(all_names(*row[: len(PLACE)])) for row in rows]
    counts = [Counter(of_run[level] for of_run in names) for level in range(2)]
    return [
        next((name for name, count in zip(of_run, counts, strict=False) if count[name] == 1), full)
        for of_run in names
        for full in of_run[-1:]
    ]


def all_names(backend: str, entity: str, project: str, run_id: str) -> Iterator[str]:
    """Yield the names that a run can have in the column ``run_id``, the shortest first."""
    path = f"{entity}/{project}/{run_id}"
    yield run_id
    yield path
    parts = urlsplit(backend)
    yield f"{parts.netloc}{parts.path}/{path}"
