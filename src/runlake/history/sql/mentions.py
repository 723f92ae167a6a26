"""Find which columns a query may name, so that the view over a run has only those columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

from runlake.history.sql.instance import open_connection

QUERIES_IN_MEMORY = 256
# Nodes of DuckDB's syntax tree that read columns without naming them, or may do so.
READS_UNNAMED = frozenset({"STAR", "POSITIONAL_REFERENCE", "SHOW_REF", "PIVOT", "TABLE_FUNCTION"})


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a query can read: whether it only selects, and which names it contains.

    Parameters
    ----------
    is_select : bool
        True if DuckDB parses the query as SELECT statements only, which change nothing.
    names : frozenset of str or None
        Every name and string in the query, casefolded. Among them are the names of all columns that
        the query reads. None if the query may read columns that it does not name, or if it is not a
        single statement.

    Examples
    --------
    >>> sorted(find_mentions("SELECT max(Loss) FROM history").names & {"loss", "acc"})
    ['loss']
    >>> find_mentions("SELECT * FROM history").names is None
    True
    """

    is_select: bool
    names: frozenset[str] | None


@lru_cache(maxsize=QUERIES_IN_MEMORY)
def find_mentions(query: str) -> Mentions:
    """Parse a query with DuckDB, and return whether it only selects, and which names it contains.

    Parameters
    ----------
    query : str
        SQL, which may be invalid.

    Returns
    -------
    Mentions
        For SQL that is invalid or no SELECT, ``is_select`` is False and ``names`` is None.
    """
    try:
        connection = open_connection(1, is_alone=False)
        parsed = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
        tree: dict[str, Any] = json.loads(parsed[0]) if parsed else {"error": True}
    except (duckdb.Error, RecursionError):
        return Mentions(is_select=False, names=None)
    if tree["error"]:
        return Mentions(is_select=False, names=None)
    nodes = list(_nodes(tree))
    is_clear = not any(_reads_unnamed(node) for node in nodes)
    tables = {text.casefold() for node in nodes for text in _tables(node)}
    is_clear = is_clear and len(tree["statements"]) == 1
    if is_clear and not any(_is_whole_row(node, tables) for node in nodes):
        return Mentions(is_select=True, names=frozenset(_texts(nodes)))
    return Mentions(is_select=True, names=None)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _reads_unnamed(node: dict[str, Any]) -> bool:
    return (
        node.get("type") in READS_UNNAMED
        or node.get("ref_type") == "NATURAL"
        # FROM history AS h(first, second) renames columns by their position.
        or (node.get("type") == "BASE_TABLE" and bool(node.get("column_name_alias")))
    )


def _tables(node: dict[str, Any]) -> Iterator[str]:
    if node.get("type") == "BASE_TABLE":
        yield node["table_name"]
    if isinstance(node.get("alias"), str) and "class" not in node:
        yield node["alias"]


def _is_whole_row(node: dict[str, Any], tables: set[str]) -> bool:
    """Return whether a node uses a table's name as a column, as in ``SELECT history FROM history``.

    DuckDB then returns whole rows as structs.
    """
    names = node.get("column_names", ())
    return bool(names) and names[-1].casefold() in tables


def _texts(nodes: list[dict[str, Any]]) -> Iterator[str]:
    for node in nodes:
        for value in node.values():
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str):
                    yield text.casefold()
