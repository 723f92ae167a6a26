"""Find the packed data files of a key, for programs that read Parquet."""

from __future__ import annotations

from typing import Any

from runlake.errors import IncompleteWarning, NotCached
from runlake.errors.user_line import warn
from runlake.lake.fixed_runs import FixedRuns
from runlake.lake.packed.kinds import table_of
from runlake.lake.packed.place import METRICS
from runlake.lake.packed.view import PackedView

# In a pattern of file names, these stand for other characters.
WILDCARDS = frozenset("%_*?[")


def find_key_files(runs: FixedRuns, key: Any) -> list[str] | None:
    """Return the paths or URLs of the packed files with rows of a key; None if no run has the key.

    Parameters
    ----------
    runs : FixedRuns
        The runs.
    key : str
        A key. For any other text, such as a pattern of file names, None is returned.

    Raises
    ------
    NotCached
        If runs have the key, but none of these runs is packed. For a key with characters of a
        pattern (`WILDCARDS`), None is returned instead.
    """
    if not isinstance(key, str):
        return None
    choice = runs.packed
    mine = [] if choice is None else list(choice.numbers.values())
    # A key may have the characters of a pattern, so keys are looked up first.
    tables = [] if choice is None or not mine else _tables_of(choice.view, key, mine)
    if choice is not None and tables:
        n_others = len(runs.runs) - len(mine)
        if n_others:
            warn(
                f"{n_others:,} of the runs are not packed: their rows are not in these files. "
                "Lake.pack() packs them.",
                IncompleteWarning,
            )
        return [path for table in tables for path in choice.view.files_of(table, key, mine)]
    if not WILDCARDS & set(key) and key in set(runs.keys()["key"]):
        raise NotCached(
            f"The rows of {key!r} are in no packed table. Pack the runs first: Lake.pack().",
            path=runs.place,
        )
    return None


def _tables_of(view: PackedView, key: str, numbers: list[int]) -> list[str]:
    """Return the names of the tables that have values of a key, the table of floats first.

    A program that reads several files takes the types of the columns from the first file. If a key
    has integers and floats, this must be a file with floats.
    """
    types = view.stats(["type"], [key], numbers)["type"].unique()
    found = {table_of(text) for text in types}
    return [table for table in METRICS if table in found]
