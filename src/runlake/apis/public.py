"""The public classes, under the names and the import path that they have in the SDK.

Use this path in annotations such as ``wandb.apis.public.Run`` after ``import runlake as wandb``,
and in ``from runlake.apis.public import Api, Run``. If a name is missing here, the error says what
to use instead.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runlake.errors import IncompleteRunHistoryError, RunNotFoundError
    from runlake.public.api import Api
    from runlake.public.artifacts.collection import ArtifactCollection
    from runlake.public.artifacts.collections import (
        ArtifactCollections,
        ArtifactType,
        ArtifactTypes,
        ProjectArtifactCollections,
    )
    from runlake.public.artifacts.lists import ArtifactFiles, Artifacts
    from runlake.public.artifacts.lists import ArtifactsOfRun as RunArtifacts
    from runlake.public.files import File, Files
    from runlake.public.projects import Project, Projects
    from runlake.public.run.console import ConsoleLogLine, ConsoleLogs
    from runlake.public.run.export_copies import DownloadHistoryResult
    from runlake.public.run.history_scan import HistoryScan
    from runlake.public.run.run import Run
    from runlake.public.runs.runs import Runs
    from runlake.public.sweeps import Sweep, Sweeps
    from runlake.public.users import Member, Team, User

_HOMES = {
    "Api": "runlake.public.api:Api",
    "ArtifactCollection": "runlake.public.artifacts.collection:ArtifactCollection",
    "ArtifactCollections": "runlake.public.artifacts.collections:ArtifactCollections",
    "ArtifactFiles": "runlake.public.artifacts.lists:ArtifactFiles",
    "ArtifactType": "runlake.public.artifacts.collections:ArtifactType",
    "ArtifactTypes": "runlake.public.artifacts.collections:ArtifactTypes",
    "Artifacts": "runlake.public.artifacts.lists:Artifacts",
    "ConsoleLogLine": "runlake.public.run.console:ConsoleLogLine",
    "ConsoleLogs": "runlake.public.run.console:ConsoleLogs",
    "DownloadHistoryResult": "runlake.public.run.export_copies:DownloadHistoryResult",
    "File": "runlake.public.files:File",
    "Files": "runlake.public.files:Files",
    "HistoryScan": "runlake.public.run.history_scan:HistoryScan",
    "IncompleteRunHistoryError": "runlake.errors:IncompleteRunHistoryError",
    "Member": "runlake.public.users:Member",
    "Project": "runlake.public.projects:Project",
    "ProjectArtifactCollections": (
        "runlake.public.artifacts.collections:ProjectArtifactCollections"
    ),
    "Projects": "runlake.public.projects:Projects",
    "Run": "runlake.public.run.run:Run",
    "RunArtifacts": "runlake.public.artifacts.lists:ArtifactsOfRun",
    "RunNotFoundError": "runlake.errors:RunNotFoundError",
    "Runs": "runlake.public.runs.runs:Runs",
    "Sweep": "runlake.public.sweeps:Sweep",
    "Sweeps": "runlake.public.sweeps:Sweeps",
    "Team": "runlake.public.users:Team",
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
    "Member",
    "Project",
    "ProjectArtifactCollections",
    "Projects",
    "Run",
    "RunArtifacts",
    "RunNotFoundError",
    "Runs",
    "Sweep",
    "Sweeps",
    "Team",
    "User",
]


# A type checker must see only the imports above, or it accepts every misspelt name.
if not TYPE_CHECKING:

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
