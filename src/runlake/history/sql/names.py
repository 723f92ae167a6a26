"""Quote column names for SQL, and make them distinct for DuckDB, which ignores case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def case_aliases(names: Sequence[str]) -> dict[str, str]:
    """Return new names for columns whose names differ only by case, are empty or have a NUL.

    Examples
    --------
    >>> case_aliases(["_step", "Loss", "loss", "acc"])
    {'Loss': 'Loss (1)', 'loss': 'loss (2)'}
    """
    counts = Counter(map(str.casefold, names))
    if len(counts) == len(names) and not any(not name or "\0" in name for name in names):
        return {}
    taken = set(counts)
    seen: Counter[str] = Counter()
    aliases = {}
    for name in names:
        folded = name.casefold()
        if name and "\0" not in name and counts[folded] == 1:
            continue
        seen[folded] += 1
        # Arrow, which transports DuckDB's results, ends a name at a NUL.
        shown = name.replace("\0", "\\0")
        while (alias := f"{shown} ({seen[folded]})").casefold() in taken:
            seen[folded] += 1
        taken.add(alias.casefold())
        aliases[name] = alias
    return aliases


def quoted(name: str) -> str:
    """Return a name in SQL's double quotes."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(text: str) -> str:
    """Return a string as a SQL literal, in single quotes."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
