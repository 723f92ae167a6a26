"""Older versions of the SDK: what each can do with the embedded backend and with runlake.

``test_older_sdks.py`` checks each claim in an environment of that version.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OlderSdk:
    """One version of the SDK.

    Parameters
    ----------
    version : str
        As on the package registry.
    replaces : tuple of str
        The methods that `runlake.accelerate` finds and replaces.
    includes_max_step : bool
        True if its `scan_history` with keys returns the row at ``max_step`` too, and without
        ``_step`` unless that is among the keys.
    difference : str
        What its answers have other than those of runlake, for the documentation.
    """

    version: str
    replaces: tuple[str, ...]
    includes_max_step: bool
    difference: str


READERS = ("scan_history", "beta_scan_history", "history", "download_history_exports")
KEYED = (
    "`scan_history(keys)` returns the row at `max_step` too, twice where a page begins at it, and "
    "no `_step` unless it is among the keys"
)
OLDER_SDKS = (
    OlderSdk("0.28.2", READERS, False, "as SDK 0.31: `scan_history(keys)` filters live rows only"),
    OlderSdk("0.24.2", READERS, True, KEYED),
    OlderSdk(
        "0.19.11",
        ("scan_history", "history"),
        True,
        f"{KEYED}; it has no `beta_scan_history` and no `download_history_exports`",
    ),
)
