"""A run, under W&B's names."""

from __future__ import annotations

from runlake.public.run_history import RunHistory


class Run(RunHistory):
    """One training job of a project; made by `Api.run`."""
