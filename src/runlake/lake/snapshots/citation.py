"""`Citation`: the text that cites a snapshot, for example in a paper."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from runlake.errors.screen import for_screen, one_line
from runlake.lake.snapshots.record import Record
from runlake.values.counted import counted


class Citation(str):
    """A text that cites a snapshot: its runs, the runs' digests, and how to open the snapshot.

    Attributes
    ----------
    name : str
        Name of the snapshot.
    digest : str
        SHA-256 in hex over the digests of all runs.
    runs : mapping of str to str
        SHA-256 in hex of each run, by the backend and the path of the run.
    recipe : str
        A line of Python that opens the snapshot.
    """

    __slots__ = ("digest", "name", "recipe", "runs")

    name: str
    digest: str
    runs: Mapping[str, str]
    recipe: str

    @classmethod
    def of(cls, record: Record, recipe: str) -> Self:
        """Return the citation of a snapshot.

        Parameters
        ----------
        record : Record
            The record of the snapshot.
        recipe : str
            A line of Python that opens the snapshot.
        """
        runs = {f"{one.backend}/{one.run}": one.digest for one in record.runs}
        taken = datetime.fromtimestamp(record.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        n_runs = counted(len(runs), "run")
        lines = [
            f"Snapshot {record.name!r} of a lake of runs: {n_runs}, taken {taken}.",
            f"sha256:{record.digest}",
            *(f"  {run}  sha256:{digest}" for run, digest in runs.items()),
            f"Read it: {recipe}",
        ]
        cited = cls("\n".join(for_screen(one_line(line)) for line in lines))
        cited.name, cited.digest, cited.runs, cited.recipe = (
            record.name,
            record.digest,
            runs,
            recipe,
        )
        return cited

    def __repr__(self) -> str:
        return str(self)
