"""``python -m tests.conformance.render`` writes ``docs/reference/compatibility.md``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.conformance.compatibility import ABSENT, PAGE_METHODS, PAGE_PROPERTIES, TABLE
from tests.conformance.odd_runs import ODD_RUNS
from tests.conformance.older_sdks import OLDER_SDKS, OlderSdk
from tests.conformance.table import Row

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md"
HEAD = """\
# Compatibility with the wandb SDK

This page is generated from the table in `tests/conformance`. For every row of the table the real
SDK and runlake run the same Python code on the same runs, which the SDK logged to the embedded
backend. Both must return the same value of the same type, or raise an error that the same `except`
catches. A test fails if a public member of the SDK's classes has no row, or if a signature of
runlake lacks an argument or a default of the SDK's.

"questions" is the number of rows. "follows" says which behaviour runlake has: that of the vendor's
documentation ("page", SDK 0.27), of SDK 0.31, of both, or its own. Where documentation and SDK
differ, signatures accept both, and the behaviour is the documented one: `scan_history` accepts
`min_step=None` and `0` alike, and returns only rows that have all of the keys, with `_step`;
`how="any"` returns rows that have at least one of them.
"""
ODD_HEAD = """\
Exports and live rows of these runs are made by hand, because the SDK does not log such data; both
clients scan them. Before the comparison, cells that are None and rows that lack one of the keys are
removed from the SDK's rows, and its texts for non-finite numbers are converted to numbers.
"""

OLDER_HEAD = """\
`make thorough` checks three older versions, each in an environment of its own: the SDK logs a run
to the embedded backend (history, config, summary, a file, an artifact). The run is then read with
that SDK's public API, with runlake in the same environment, and with the SDK under
`runlake.accelerate()`. All answers are equal, but for the differences below, which do not exist
under `accelerate()`.
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
    parts += ["\n## Older versions of the SDK\n", OLDER_HEAD]
    parts += [
        "| SDK | `accelerate()` replaces | differences of the SDK's own answers |",
        "|---|---|---|",
    ]
    parts += [_older_line(sdk) for sdk in OLDER_SDKS]
    parts += ["\n## Left out\n", "| member | why |", "|---|---|"]
    parts += [f"| `{absent.member}` | {absent.reason} |" for absent in ABSENT]
    return "\n".join(parts) + "\n"


def _older_line(sdk: OlderSdk) -> str:
    replaced = ", ".join(f"`{name}`" for name in sdk.replaces)
    return f"| {sdk.version} | {replaced} | {sdk.difference} |"


def _header() -> str:
    return "| member | questions | follows | differences, on purpose |\n|---|---|---|---|"


def _line(member: str, rows: list[Row]) -> str:
    follows = ", ".join(dict.fromkeys(row.follows for row in rows))
    differences = "; ".join(dict.fromkeys(row.difference for row in rows if row.difference))
    return f"| `{member}` | {len(rows)} | {follows} | {differences} |"


if __name__ == "__main__":
    PAGE.write_text(render())
