"""A frame as a DuckDB view that tells keys apart by case."""

from __future__ import annotations

from collections import Counter

import duckdb
import polars as pl

from runlake.errors import InvalidArgument

VIEW = "history"


def query_frame(frame: pl.LazyFrame, query: str) -> duckdb.DuckDBPyRelation:
    """Run SQL over a frame.

    Parameters
    ----------
    frame : polars.LazyFrame
        Shown as the view ``history``; DuckDB reads only the columns and rows that it needs.
    query : str
        DuckDB's dialect; a key with ``/`` or ``.`` stands in double quotes.

    Returns
    -------
    duckdb.DuckDBPyRelation
        Not run yet.

    Raises
    ------
    InvalidArgument
        If the query is wrong, or names a key of which there are two that differ by case only.

    Notes
    -----
    DuckDB folds case: of ``Loss`` and ``loss`` it would answer one for both. In the view such keys
    are named ``Loss (1)``, ``loss (2)``, in the order of the frame, and their bare names are gone.
    """
    names = frame.collect_schema().names()
    aliases = case_aliases(names)
    connection = duckdb.connect()
    connection.register(VIEW, frame.rename(aliases) if aliases else frame)
    try:
        return connection.sql(query)
    except duckdb.Error as error:
        told = ", ".join(f'{key!r} is "{alias}"' for key, alias in aliases.items())
        hint = f" Keys that differ by case only have names of their own: {told}." if told else ""
        raise InvalidArgument(_wrong(error) + hint) from error


def read_query(frame: pl.LazyFrame, query: str) -> pl.DataFrame:
    """Run SQL over a frame, as `query_frame` does, to its end.

    Parameters
    ----------
    frame : polars.LazyFrame
        Shown as the view ``history``.
    query : str
        DuckDB's dialect.

    Returns
    -------
    polars.DataFrame
        What the query selects.

    Raises
    ------
    InvalidArgument
        If the query is wrong, fails on a value, or selects nothing.
    """
    relation = query_frame(frame, query)
    if relation is None:
        raise InvalidArgument("The SQL does not work: it selects nothing; start it with SELECT.")
    try:
        found: pl.DataFrame = relation.pl()
    except duckdb.Error as error:
        raise InvalidArgument(_wrong(error)) from error
    return found


def _wrong(error: duckdb.Error) -> str:
    return f"The SQL does not work: {str(error).rstrip('.')}."


def case_aliases(names: list[str]) -> dict[str, str]:
    """Return names for the columns that differ by case only.

    Examples
    --------
    >>> case_aliases(["_step", "Loss", "loss", "acc"])
    {'Loss': 'Loss (1)', 'loss': 'loss (2)'}
    """
    counts = Counter(name.casefold() for name in names)
    seen: Counter[str] = Counter()
    aliases = {}
    for name in names:
        folded = name.casefold()
        if counts[folded] > 1:
            seen[folded] += 1
            aliases[name] = f"{name} ({seen[folded]})"
    return aliases
