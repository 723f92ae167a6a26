"""The way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runlake.backend.client import Client
from runlake.cache.budget import SharedBudget
from runlake.public.api_artifacts import ApiArtifacts
from runlake.public.run import Run
from runlake.settings import Settings, load_settings
from runlake.values import RunPath


class Api(ApiArtifacts):
    """Reads from one W&B backend; building it sends nothing.

    Parameters
    ----------
    overrides : mapping, optional
        ``base_url``, ``app_url``, ``entity``, ``project``, ``cache_dir``; win over the environment.
    timeout : float, optional
        Seconds that one request may take.
    api_key : str, optional
        Wins over ``WANDB_API_KEY``, settings files and netrc.
    offline : bool, optional
        Answer from the cache alone, asking nobody (``RUNLAKE_OFFLINE``).

    Raises
    ------
    SettingsError
        If a setting cannot be what its name says.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
        *,
        offline: bool | None = None,
    ) -> None:
        settings = load_settings(overrides, api_key=api_key, timeout=timeout, offline=offline)
        self._client = Client(settings, SharedBudget(settings))
        self._runs: dict[str, Run] = {}

    @property
    def settings(self) -> Settings:
        """What the client was told, from every source."""
        return self._client.settings

    def run(self, path: str = "") -> Run:
        """Return a run; the same object for the same path until `flush`.

        Parameters
        ----------
        path : str
            ``entity/project/run_id`` or one of its short forms.

        Returns
        -------
        Run
            Loaded by one request.

        Raises
        ------
        InvalidArgument
            If the path lacks a part.
        RunNotFoundError
            If there is no such run.
        """
        settings = self.settings
        parsed = RunPath.parse(path, entity=settings.entity, project=settings.project)
        if path not in self._runs:
            names = (parsed.entity, parsed.project, parsed.run_id)
            self._runs[path] = Run(self._client, *names, lazy=False)
        return self._runs[path]

    def flush(self) -> None:
        """Forget the runs, so that the next call asks the backend again."""
        self._runs.clear()

    def __repr__(self) -> str:
        return f"<Api {self.settings.base_url}>"
