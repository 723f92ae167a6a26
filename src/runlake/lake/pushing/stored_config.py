"""The config of a run in the lake, as it is sent to another backend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runlake.values import BranchPoint, RunPath, find_branch_point, unwrapped

INTERNAL = "_wandb"
BRANCH_POINT = "branch_point"


def config_to_send(attrs: Mapping[str, Any]) -> str:
    """Return the config of a run as JSON text, with its entries as they are wrapped.

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
    """Return the config without the entries of the SDK."""
    return {name: unwrapped(one) for name, one in _config(attrs).items() if name != INTERNAL}


def summary_of(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary."""
    return _object(attrs.get("summaryMetrics"))


def _config(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return _object(attrs.get("config"))


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
