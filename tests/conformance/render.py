"""``python -m tests.conformance.render`` writes ``docs/reference/compatibility.md``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.conformance.compatibility import ABSENT, PAGE_METHODS, PAGE_PROPERTIES, TABLE
from tests.conformance.odd_runs import ODD_RUNS
from tests.conformance.table import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md"
HEAD = """\
# Compatibility with the wandb SDK

Made from the table that `tests/conformance` asks of both clients (`make docs`): for every row the
real SDK and runlake run the same Python on the same runs, logged by the SDK to the embedded
backend, and must give the same value of the same type, or an error that the same `except`
catches. A member of the SDK's classes without a row fails a test, and so does a signature of ours
that lost an argument or a default.

"follows" says whose promise the answer keeps: that of the documented page (SDK 0.27), of SDK
0.31, of both, or our own. Where the two differ, signatures accept both, and the page's promises
win: `scan_history` takes `min_step=None` and `0` alike, returns only rows that have all of the
keys, with `_step`, and `how="any"` gives rows that have at least one of them.
"""
ODD_HEAD = """\
Runs whose exports and live rows are made by hand, because no SDK logs such; both clients scan them.
The SDK's rows are compared without cells that are None and without rows that lack one of the keys,
and with the words for non-finite numbers as numbers.
"""


def render() -> str:
    """Return the page."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in TABLE:
        rows[row.member].append(row)
    parts = [HEAD, "## The documented members of `Run`\n", _header()]
    documented = [f"Run.{name}" for name in (*PAGE_PROPERTIES, *PAGE_METHODS)]
    parts += [_line(member, rows[member]) for member in documented]
    others = sorted(set(rows) - set(documented), key=lambda member: (member.split(".")[0], member))
    for owner in dict.fromkeys(member.split(".")[0] for member in others):
        parts += [f"\n## Further members of `{owner}`\n", _header()]
        parts += [_line(m, rows[m]) for m in others if m.split(".")[0] == owner]
    parts += ["\n## Odd data\n", ODD_HEAD, "| data | difference, on purpose |", "|---|---|"]
    parts += [f"| {odd.name} | {odd.difference} |" for odd in ODD_RUNS]
    parts += ["\n## Left out\n", "| member | why |", "|---|---|"]
    parts += [f"| `{absent.member}` | {absent.reason} |" for absent in ABSENT]
    return "\n".join(parts) + "\n"


def _header() -> str:
    return "| member | questions | follows | differences, on purpose |\n|---|---|---|---|"


def _line(member: str, rows: list[Row]) -> str:
    follows = ", ".join(dict.fromkeys(row.follows for row in rows))
    differences = "; ".join(dict.fromkeys(row.difference for row in rows if row.difference))
    return f"| `{member}` | {len(rows)} | {follows} | {differences} |"


if __name__ == "__main__":
    PAGE.write_text(render())
