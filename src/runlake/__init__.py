"""runlake reads experiment history, fast.

Examples
--------
>>> import runlake
>>> sorted(set(runlake.__all__) & {"Api", "Run"})
['Api', 'Run']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runlake import apis as apis
    from runlake import errors as errors
    from runlake.cache.pulled import PullResult
    from runlake.errors import (
        CommError,
        Error,
        MixedTypesWarning,
        NoRowsWarning,
        RunlakeError,
        SampleWarning,
        UsageError,
    )
    from runlake.history.best import Best
    from runlake.history.plan import Plan
    from runlake.public.accelerate import accelerate
    from runlake.public.api import Api
    from runlake.public.artifact_values import ArtifactTTL
    from runlake.public.artifacts import Artifact
    from runlake.public.console_logs import ConsoleLogLine, ConsoleLogs
    from runlake.public.exports import DownloadHistoryResult
    from runlake.public.files import File, Files
    from runlake.public.history import HistoryScan
    from runlake.public.login import login
    from runlake.public.metrics import Metric
    from runlake.public.projects import Project, Projects
    from runlake.public.run import Run
    from runlake.public.runs import Runs
    from runlake.public.summary import Summary
    from runlake.public.sweeps import Sweep
    from runlake.public.users import User

__version__ = "0.1.0"

_HOMES = {
    "Api": "runlake.public.api",
    "Artifact": "runlake.public.artifacts",
    "ArtifactTTL": "runlake.public.artifact_values",
    "Best": "runlake.history.best",
    "CommError": "runlake.errors",
    "ConsoleLogLine": "runlake.public.console_logs",
    "ConsoleLogs": "runlake.public.console_logs",
    "DownloadHistoryResult": "runlake.public.exports",
    "Error": "runlake.errors",
    "File": "runlake.public.files",
    "Files": "runlake.public.files",
    "HistoryScan": "runlake.public.history",
    "Metric": "runlake.public.metrics",
    "MixedTypesWarning": "runlake.errors",
    "NoRowsWarning": "runlake.errors",
    "Plan": "runlake.history.plan",
    "Project": "runlake.public.projects",
    "Projects": "runlake.public.projects",
    "PullResult": "runlake.cache.pulled",
    "Run": "runlake.public.run",
    "RunlakeError": "runlake.errors",
    "Runs": "runlake.public.runs",
    "SampleWarning": "runlake.errors",
    "Summary": "runlake.public.summary",
    "Sweep": "runlake.public.sweeps",
    "UsageError": "runlake.errors",
    "User": "runlake.public.users",
    "accelerate": "runlake.public.accelerate",
    "login": "runlake.public.login",
}
_MODULES = ("apis", "errors")
__all__ = [
    "Api",
    "Artifact",
    "ArtifactTTL",
    "Best",
    "CommError",
    "ConsoleLogLine",
    "ConsoleLogs",
    "DownloadHistoryResult",
    "Error",
    "File",
    "Files",
    "HistoryScan",
    "Metric",
    "MixedTypesWarning",
    "NoRowsWarning",
    "Plan",
    "Project",
    "Projects",
    "PullResult",
    "Run",
    "RunlakeError",
    "Runs",
    "SampleWarning",
    "Summary",
    "Sweep",
    "UsageError",
    "User",
    "__version__",
    "accelerate",
    "apis",
    "errors",
    "login",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"runlake.{name}")
    if name not in _HOMES:
        from runlake.public.missing import say_missing

        text = f"module 'runlake' has no attribute {name!r}"
        raise AttributeError(say_missing("runlake", name, text), name=name)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
