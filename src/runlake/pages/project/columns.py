"""Chooses the columns of the table and the keys of the charts, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from runlake.history.runs.run_table import FIELDS
from runlake.pages.project.cells import is_numeric
from runlake.pages.project.listing import CONFIG, SUMMARY, RunRow

# The name and the state are always shown.
ALWAYS = ("name", "state")
N_CONFIG, N_SUMMARY = 6, 6
# Number of columns that the page offers as check boxes; other columns can be typed.
MAX_OFFERED = 400
MAX_CHARTS = 200
NO_GROUP = ""


def default_columns(rows: Sequence[RunRow]) -> list[str]:
    """Return the columns that the table shows if the visitor chose none.

    These are the `SHOWN_FIELDS` that at least one run has, the first config entries in which the
    runs differ (or the first config entries if the runs do not differ), and the numeric summary
    entries that most runs have.
    """
    fields = [name for name, attr in SHOWN_FIELDS if any(row.fields.get(attr) for row in rows)]
    config = entries(rows, CONFIG)
    differ = [name for name in config if len({repr(row.values.get(name)) for row in rows}) > 1]
    return [*fields, *(differ or config)[:N_CONFIG], *numeric_entries(rows)[:N_SUMMARY]]


SHOWN_FIELDS = (("created_at", "createdAt"), ("group", "group"), ("tags", "tags"))


def offered_columns(rows: Sequence[RunRow], chosen: Sequence[str]) -> list[str]:
    """Return the columns that the page offers as check boxes: first the chosen columns.

    Fields of runs follow, and then the entries of the runs' config and summary.
    """
    known = [name for name in FIELDS if name not in {*ALWAYS, "run_id"}]
    known += [*entries(rows, CONFIG), *entries(rows, SUMMARY)]
    return list(dict.fromkeys([*chosen, *known[:MAX_OFFERED]]))


def entries(rows: Sequence[RunRow], part: str) -> list[str]:
    """Return the names of the runs' config or summary columns, such as ``config.lr``.

    ``part`` is "config" or "summary". Entries that begin with ``_`` come last.
    """
    prefix = f"{part}."
    found = dict.fromkeys(name for row in rows for name in row.values if name.startswith(prefix))
    return sorted(found, key=lambda name: name[len(prefix) :].startswith("_"))


def numeric_entries(rows: Sequence[RunRow]) -> list[str]:
    """Return the numeric summary columns; the column that most runs have is the first."""
    prefix = f"{SUMMARY}."
    counts = Counter(
        name
        for row in rows
        for name, value in row.values.items()
        if name.startswith(prefix) and not name.startswith(f"{prefix}_") and is_numeric(value)
    )
    return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def keys_to_draw(rows: Sequence[RunRow], match: str = "") -> list[str]:
    """Return the runs' numeric keys that contain ``match``, sorted.

    Case does not matter. Keys that begin with ``_`` are left out.
    """
    sought = match.casefold()
    found = {key for row in rows for key in _logged_numbers(row)}
    return sorted(key for key in found if not key.startswith("_") and sought in key.casefold())


def _logged_numbers(row: RunRow) -> Iterator[str]:
    """Yield a run's numeric keys: of the history, or of the summary if no history key is known."""
    known = row.fields.get("historyKeys")
    keys = known.get("keys") if isinstance(known, Mapping) else None
    if isinstance(keys, Mapping) and keys:
        yield from (key for key, facts in keys.items() if _has_numbers(facts))
        return
    yield from (key for key, value in row.summary.items() if is_numeric(value))


def _has_numbers(facts: object) -> bool:
    types = facts.get("typeCounts") if isinstance(facts, Mapping) else None
    if not isinstance(types, Sequence):
        return False
    return any(isinstance(one, Mapping) and one.get("type") == "number" for one in types)


def grouped_keys(keys: Sequence[str]) -> dict[str, list[str]]:
    """Group keys by the prefix before their first slash; keys without a slash come first.

    Examples
    --------
    >>> grouped_keys(["acc", "val/acc", "val/loss"])
    {'': ['acc'], 'val': ['val/acc', 'val/loss']}
    """
    found: dict[str, list[str]] = {}
    for key in sorted(keys, key=lambda key: "/" in key):
        group, slash, _ = key.partition("/")
        found.setdefault(group if slash else NO_GROUP, []).append(key)
    return found
