"""Methods of a list of runs that return a value per run, or aligned curves."""

from __future__ import annotations

from runlake.public.runs.scans import RunScans


class RunAnswers(RunScans):
    """Methods of a list of runs that return a value per run, or aligned curves."""
