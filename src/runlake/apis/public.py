"""The classes that read, under the names and the import path of the SDK.

For annotations such as ``wandb.apis.public.Run`` after ``import runlake as wandb``, and for
``from runlake.apis.public import Api, Run``. A name that is not here says what to use instead.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runlake.errors import IncompleteRunHistoryError, RunNotFoundError
    from runlake.public.api import Api
    from runlake.public.artifact_collection import ArtifactCollection
    from runlake.public.artifact_collections import (
        ArtifactCollections,
        ArtifactType,
        ArtifactTypes,
        ProjectArtifactCollections,
    )
    from runlake.public.artifact_lists import ArtifactFiles, Artifacts
    from runlake.public.artifact_lists import ArtifactsOfRun as RunArtifacts
    from runlake.public.console_logs import ConsoleLogLine, ConsoleLogs
    from runlake.public.exports import DownloadHistoryResult
    from runlake.public.files import File, Files
    from runlake.public.history import HistoryScan
    from runlake.public.projects import Project, Projects
    from runlake.public.run import Run
    from runlake.public.runs import Runs
    from runlake.public.sweeps import Sweep, Sweeps
    from runlake.public.users import User

_HOMES = {
    "Api": "runlake.public.api:Api",
    "ArtifactCollection": "runlake.public.artifact_collection:ArtifactCollection",
    "ArtifactCollections": "runlake.public.artifact_collections:ArtifactCollections",
    "ArtifactFiles": "runlake.public.artifact_lists:ArtifactFiles",
    "ArtifactType": "runlake.public.artifact_collections:ArtifactType",
    "ArtifactTypes": "runlake.public.artifact_collections:ArtifactTypes",
    "Artifacts": "runlake.public.artifact_lists:Artifacts",
    "ConsoleLogLine": "runlake.public.console_logs:ConsoleLogLine",
    "ConsoleLogs": "runlake.public.console_logs:ConsoleLogs",
    "DownloadHistoryResult": "runlake.public.exports:DownloadHistoryResult",
    "File": "runlake.public.files:File",
    "Files": "runlake.public.files:Files",
    "HistoryScan": "runlake.public.history:HistoryScan",
    "IncompleteRunHistoryError": "runlake.errors:IncompleteRunHistoryError",
    "Project": "runlake.public.projects:Project",
    "ProjectArtifactCollections": (
        "runlake.public.artifact_collections:ProjectArtifactCollections"
    ),
    "Projects": "runlake.public.projects:Projects",
    "Run": "runlake.public.run:Run",
    "RunArtifacts": "runlake.public.artifact_lists:ArtifactsOfRun",
    "RunNotFoundError": "runlake.errors:RunNotFoundError",
    "Runs": "runlake.public.runs:Runs",
    "Sweep": "runlake.public.sweeps:Sweep",
    "Sweeps": "runlake.public.sweeps:Sweeps",
    "User": "runlake.public.users:User",
}
__all__ = [
    "Api",
    "ArtifactCollection",
    "ArtifactCollections",
    "ArtifactFiles",
    "ArtifactType",
    "ArtifactTypes",
    "Artifacts",
    "ConsoleLogLine",
    "ConsoleLogs",
    "DownloadHistoryResult",
    "File",
    "Files",
    "HistoryScan",
    "IncompleteRunHistoryError",
    "Project",
    "ProjectArtifactCollections",
    "Projects",
    "Run",
    "RunArtifacts",
    "RunNotFoundError",
    "Runs",
    "Sweep",
    "Sweeps",
    "User",
]


def __getattr__(name: str) -> Any:
    home, _, class_name = _HOMES.get(name, "").partition(":")
    if not home:
        from runlake.public.missing import say_missing

        text = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(say_missing(__name__, name, text), name=name)
    value = getattr(import_module(home), class_name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
