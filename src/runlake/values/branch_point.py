"""`BranchPoint`: the parent run of a fork, and the last step that the fork takes from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from runlake.values.paths import RunPath

BRANCH_POINT = "branch_point"
# A step has at most 63 bits, and so has the end of a range, which is one step after its last step.
LAST_STEP = 2**63 - 2


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """The parent run of a fork, and the last step that the fork takes from the parent.

    Parameters
    ----------
    run : RunPath
        The parent: a run of the same project.
    step : int
        The last step of the parent that belongs to the fork; -1 if none does.

    Examples
    --------
    >>> point = BranchPoint(RunPath("team", "proj", "root"), 200)
    >>> point.path, point.run_id, point.step, str(point)
    ('team/proj/root', 'root', 200, 'root?_step=200')
    """

    run: RunPath
    step: int

    @property
    def path(self) -> str:
        """The parent's path, as `Api.run` accepts it."""
        return str(self.run)

    @property
    def run_id(self) -> str:
        """The parent's id."""
        return self.run.run_id

    def __str__(self) -> str:
        return f"{self.run_id}?_step={self.step}"


def find_branch_point(run: RunPath, internal: object) -> BranchPoint | None:
    """Return the branch point of a forked run, from the SDK's entries in the run's config.

    Parameters
    ----------
    run : RunPath
        The run that may be a fork.
    internal : object
        The value of ``_wandb`` in the run's config.

    Returns
    -------
    BranchPoint or None
        None if the run is not a fork: it has no branch point, or it was rewound to one of its own
        steps, or the entry is malformed.

    Examples
    --------
    >>> run = RunPath("team", "proj", "fork")
    >>> str(find_branch_point(run, {"branch_point": {"run_id": "root", "step": 7.5}}))
    'root?_step=7'
    >>> find_branch_point(run, {"branch_point": {"run_id": "fork", "step": 7}}) is None
    True
    """
    found = internal.get(BRANCH_POINT) if isinstance(internal, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    run_id, step = found.get("run_id"), found.get("step")
    if not isinstance(run_id, str) or run_id in {"", run.run_id}:
        return None
    if isinstance(step, bool) or not isinstance(step, (int, float)):
        return None
    if isinstance(step, float) and not math.isfinite(step):
        return None
    parent = RunPath(run.entity, run.project, run_id)
    return BranchPoint(parent, max(-1, min(int(step), LAST_STEP)))
