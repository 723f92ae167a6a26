"""Event lines, which contain the system metrics of a run."""

from __future__ import annotations

from runlake.server.runs.lines import Row, parse_line


def system_row(line: str) -> Row:
    """Parse an event line into a row of system metrics.

    The keys of the row begin with ``system.`` or ``_``.
    """
    return name_system_keys(parse_line(line))


def name_system_keys(row: Row) -> Row:
    """Add the prefix ``system.`` to the keys of an event, except to keys that begin with ``_``."""
    return {
        key if key.startswith(("_", "system.")) else f"system.{key}": value
        for key, value in row.items()
    }
