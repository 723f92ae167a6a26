"""Entries of a run's config as the backend stores them."""

from __future__ import annotations

from typing import Any

# W&B's own entries, which no script has set.
INTERNAL_CONFIG = frozenset({"_wandb", "wandb_version"})


def unwrapped(entry: object) -> Any:
    """Return the value of an entry, which most backends wrap as ``{"value": ..., "desc": ...}``."""
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry
