"""Convert the stored config of a run to the config that a push sends to a backend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runlake.values import BranchPoint, RunPath, find_branch_point, unwrapped

INTERNAL = "_wandb"
BRANCH_POINT = "branch_point"


def config_to_send(attrs: Mapping[str, Any]) -> str:
    """Return a run's config as JSON text; values stay wrapped, as in ``{"value": 1}``.

    The branch point of a fork is left out: with it, a backend would copy the rows of the parent.
    """
    config = _config(attrs)
    internal = unwrapped(config.get(INTERNAL))
    if isinstance(internal, dict) and BRANCH_POINT in internal:
        rest = {name: value for name, value in internal.items() if name != BRANCH_POINT}
        config = {**config, INTERNAL: {"value": rest}}
    return json.dumps(config)


def branch_point_of(run: RunPath, attrs: Mapping[str, Any]) -> BranchPoint | None:
    """Return the run and step from which a run was forked; None if the run is not a fork."""
    return find_branch_point(run, unwrapped(_config(attrs).get(INTERNAL)))


def user_config(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's config with unwrapped values, without W&B's own entry ``_wandb``."""
    return {name: unwrapped(one) for name, one in _config(attrs).items() if name != INTERNAL}


def summary_of(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's summary from the stored fields of the run."""
    return _object(attrs.get("summaryMetrics"))


def _config(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return _object(attrs.get("config"))


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
