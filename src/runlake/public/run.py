"""A run, under W&B's names."""

from __future__ import annotations

from runlake.public.run_artifacts import RunArtifacts
from runlake.public.run_history import RunHistory


class Run(RunHistory, RunArtifacts):
    """One training job of a project; made by `Api.run`."""
