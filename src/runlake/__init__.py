"""runlake reads the history of Weights & Biases runs through a shared local cache.

Names are imported at their first use: importing runlake loads neither polars, DuckDB nor pandas.

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
    from runlake.cache.pull_result import PullResult
    from runlake.charts.chart import Chart
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
    from runlake.history.plan.plan import Plan
    from runlake.lake.copies.export import ExportReport
    from runlake.lake.diff import RunDiff
    from runlake.lake.lake import Lake
    from runlake.lake.lake_runs import LakeRuns
    from runlake.lake.plan import LakePlan
    from runlake.lake.publishing.report import PublishReport
    from runlake.lake.pushing.report import PushReport
    from runlake.lake.report import PullReport
    from runlake.lake.snapshots.citation import Citation
    from runlake.public.accelerate import accelerate
    from runlake.public.api import Api
    from runlake.public.artifacts.artifacts import Artifact
    from runlake.public.artifacts.values import ArtifactTTL
    from runlake.public.files import File, Files
    from runlake.public.login import login
    from runlake.public.media import Media, MediaList
    from runlake.public.projects import Project, Projects
    from runlake.public.run.console import ConsoleLogLine, ConsoleLogs
    from runlake.public.run.export_copies import DownloadHistoryResult
    from runlake.public.run.history_scan import HistoryScan
    from runlake.public.run.metrics import Metric
    from runlake.public.run.run import Run
    from runlake.public.run.summary import Summary
    from runlake.public.runs.runs import Runs
    from runlake.public.stitch import StitchedRuns, stitch
    from runlake.public.sweeps import Sweep
    from runlake.public.users import User
    from runlake.values.branch_point import BranchPoint
    from runlake.values.histogram import Histogram, histogram
    from runlake.values.progress import ProgressUpdate

__version__ = "0.1.0"

_HOMES = {
    "Api": "runlake.public.api",
    "Artifact": "runlake.public.artifacts.artifacts",
    "ArtifactTTL": "runlake.public.artifacts.values",
    "Best": "runlake.history.best",
    "BranchPoint": "runlake.values.branch_point",
    "Chart": "runlake.charts.chart",
    "Citation": "runlake.lake.snapshots.citation",
    "CommError": "runlake.errors",
    "ConsoleLogLine": "runlake.public.run.console",
    "ConsoleLogs": "runlake.public.run.console",
    "DownloadHistoryResult": "runlake.public.run.export_copies",
    "Error": "runlake.errors",
    "ExportReport": "runlake.lake.copies.export",
    "File": "runlake.public.files",
    "Files": "runlake.public.files",
    "Histogram": "runlake.values.histogram",
    "HistoryScan": "runlake.public.run.history_scan",
    "Lake": "runlake.lake.lake",
    "LakePlan": "runlake.lake.plan",
    "LakeRuns": "runlake.lake.lake_runs",
    "Media": "runlake.public.media",
    "MediaList": "runlake.public.media",
    "Metric": "runlake.public.run.metrics",
    "MixedTypesWarning": "runlake.errors",
    "NoRowsWarning": "runlake.errors",
    "Plan": "runlake.history.plan.plan",
    "ProgressUpdate": "runlake.values.progress",
    "Project": "runlake.public.projects",
    "Projects": "runlake.public.projects",
    "PublishReport": "runlake.lake.publishing.report",
    "PullReport": "runlake.lake.report",
    "PushReport": "runlake.lake.pushing.report",
    "PullResult": "runlake.cache.pull_result",
    "Run": "runlake.public.run.run",
    "RunDiff": "runlake.lake.diff",
    "RunlakeError": "runlake.errors",
    "Runs": "runlake.public.runs.runs",
    "SampleWarning": "runlake.errors",
    "StitchedRuns": "runlake.public.stitch",
    "Summary": "runlake.public.run.summary",
    "Sweep": "runlake.public.sweeps",
    "UsageError": "runlake.errors",
    "User": "runlake.public.users",
    "accelerate": "runlake.public.accelerate",
    "histogram": "runlake.values.histogram",
    "login": "runlake.public.login",
    "stitch": "runlake.public.stitch",
}
_MODULES = ("apis", "errors")
__all__ = [
    "Api",
    "Artifact",
    "ArtifactTTL",
    "Best",
    "BranchPoint",
    "Chart",
    "Citation",
    "CommError",
    "ConsoleLogLine",
    "ConsoleLogs",
    "DownloadHistoryResult",
    "Error",
    "ExportReport",
    "File",
    "Files",
    "Histogram",
    "HistoryScan",
    "Lake",
    "LakePlan",
    "LakeRuns",
    "Media",
    "MediaList",
    "Metric",
    "MixedTypesWarning",
    "NoRowsWarning",
    "Plan",
    "ProgressUpdate",
    "Project",
    "Projects",
    "PublishReport",
    "PullReport",
    "PullResult",
    "PushReport",
    "Run",
    "RunDiff",
    "RunlakeError",
    "Runs",
    "SampleWarning",
    "StitchedRuns",
    "Summary",
    "Sweep",
    "UsageError",
    "User",
    "__version__",
    "accelerate",
    "apis",
    "errors",
    "histogram",
    "login",
    "stitch",
]


# A type checker must see only the imports above, or it accepts every misspelt name.
if not TYPE_CHECKING:

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
