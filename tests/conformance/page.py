"""The members of ``Run`` that the vendor documents (SDK 0.27), with their arguments' defaults."""

from __future__ import annotations

import inspect
from typing import Any

REQUIRED = inspect.Parameter.empty
PAGE_PROPERTIES = (
    "state",
    "entity",
    "username",
    "storage_id",
    "id",
    "name",
    "config",
    "summary",
    "system_metrics",
    "summary_metrics",
    "rawconfig",
    "sweep_name",
    "path",
    "url",
    "metadata",
    "lastHistoryStep",
)
PAGE_METHODS: dict[str, dict[str, Any]] = {
    "beta_scan_history": {
        "keys": None,
        "page_size": 1000,
        "min_step": 0,
        "max_step": None,
        "use_cache": True,
    },
    "create": {
        "api": REQUIRED,
        "run_id": None,
        "project": None,
        "entity": None,
        "state": "running",
    },
    "delete": {"delete_artifacts": False},
    "display": {"height": 420, "hidden": False},
    "download_history_exports": {"download_dir": REQUIRED, "require_complete_history": True},
    "file": {"name": REQUIRED},
    "files": {"names": None, "pattern": None, "per_page": 50},
    "history": {
        "samples": 500,
        "keys": None,
        "x_axis": "_step",
        "pandas": True,
        "stream": "default",
    },
    "load": {"force": False},
    "load_full_data": {"force": False},
    "log_artifact": {"artifact": REQUIRED, "aliases": None, "tags": None},
    "logged_artifacts": {"per_page": 100},
    "save": {},
    "scan_history": {"keys": None, "page_size": 1000, "min_step": None, "max_step": None},
    "update": {},
    "update_state": {"state": REQUIRED},
    "upload_file": {"path": REQUIRED, "root": "."},
    "use_artifact": {"artifact": REQUIRED, "use_as": None},
    "used_artifacts": {"per_page": 100},
    "wait_until_finished": {},
}
