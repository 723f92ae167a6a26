"""Who a run is: its fields as the backend sent them, loaded as far as they are looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runlake.backend.client import Client
from runlake.backend.graphql import fetch_history_keys, fetch_run
from runlake.errors import ProtocolError
from runlake.public.attributes import Attributes
from runlake.public.sweeps import Sweep
from runlake.values import RunPath

INTERNAL_CONFIG = {"_wandb", "wandb_version"}
HEAVY_FIELDS = ("config", "summaryMetrics", "systemMetrics")


class RunFields(Attributes):
    """The fields of a run.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project, run_id : str
        Where the run lives.
    attrs : dict, optional
        Fields that are known already, as the backend names them; nothing is asked for then.
    lazy : bool
        Load without config and metrics until one of them is looked at.
    """

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        run_id: str,
        attrs: Mapping[str, Any] | None = None,
        lazy: bool = True,
    ) -> None:
        super().__init__({})
        self._client = client
        self._path = RunPath(entity, project, run_id)
        self._lazy = lazy
        self._sweep: Sweep | None = None
        self._config: dict[str, Any] = {}
        self._rawconfig: dict[str, Any] = {}
        if attrs:
            self._take(attrs)
        else:
            self.load()

    def load(self, force: bool = False) -> dict[str, Any]:
        """Load the run's fields, unless they are there; one request.

        Parameters
        ----------
        force : bool
            Ask again.

        Returns
        -------
        dict
            The fields as the backend names them; those that were loaded of ``config``,
            ``summaryMetrics`` and ``systemMetrics`` decoded.

        Raises
        ------
        RunNotFoundError
            If there is no such run.
        """
        if force or not self._attrs:
            self._take(fetch_run(self._client, self._path, is_light=self._lazy))
        return self._attrs

    def load_full_data(self, force: bool = False) -> dict[str, Any]:
        """Load config and metrics too, where the run comes from a list that left them out.

        Parameters
        ----------
        force : bool
            Ask again although they are there.

        Returns
        -------
        dict
            As from `load`.

        Raises
        ------
        RunNotFoundError
            If there is no such run.
        """
        if self._lazy or force:
            self._take(fetch_run(self._client, self._path))
            self._lazy = False
        return self._attrs

    @property
    def is_lazy(self) -> bool:
        """The run comes from a list without config and metrics, which are loaded when needed."""
        return self._lazy

    def take_full_data(self, attrs: Mapping[str, Any]) -> None:
        """Take the fields of the run from a list that has config and metrics."""
        self._take(attrs)
        self._lazy = False

    def _take(self, attrs: Mapping[str, Any]) -> None:
        taken = dict(attrs)
        for name in HEAVY_FIELDS:
            if name in taken:
                taken[name] = self._decoded(name, taken[name])
        self._attrs = taken
        if "config" in taken:
            values = {key: _unwrapped(entry) for key, entry in taken["config"].items()}
            self._rawconfig = values
            self._config = {k: v for k, v in values.items() if k not in INTERNAL_CONFIG}

    def _heavy(self, name: str) -> dict[str, Any]:
        if name not in self._attrs:
            self.load_full_data()
        found: dict[str, Any] = self._attrs.setdefault(name, {})
        return found

    def _decoded(self, name: str, value: object) -> dict[str, Any]:
        try:
            decoded = json.loads(value, strict=False) if isinstance(value, (str, bytes)) else value
        except ValueError:
            decoded = value
        if decoded is None:
            return {}
        if isinstance(decoded, dict):
            return decoded
        if name == "config" and isinstance(decoded, list):
            return {}
        raise ProtocolError(
            f"The backend's {name} of '{self._path}' is no JSON object.",
            operation="Run",
            origin=self._client.origin,
        )

    @property
    def entity(self) -> str:
        """The user or team that owns the run."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The project of the run."""
        return self._path.project

    @property
    def id(self) -> str:
        """The short id of the run, unique in its project."""
        return str(self._attrs.get("name") or self._path.run_id)

    @property
    def storage_id(self) -> str:
        """The backend's own id of the run."""
        return str(self._attrs["id"])

    @property
    def name(self) -> str | None:
        """The display name, as people gave it."""
        return self._attrs.get("displayName")

    @property
    def state(self) -> str | None:
        """``running``, ``finished``, ``failed``, ``crashed``, ... when the run was loaded."""
        return self._attrs.get("state")

    @property
    def sweep_name(self) -> str | None:
        """The id of the sweep that the run is part of."""
        return self._attrs.get("sweepName")

    @property
    def sweep(self) -> Sweep | None:
        """The sweep that the run is part of; one request, when it is first looked at."""
        if self._sweep is None and self.sweep_name:
            self._sweep = Sweep(self._client, self.entity, self.project, self.sweep_name)
        return self._sweep

    @sweep.setter
    def sweep(self, sweep: Sweep | None) -> None:
        self._sweep = sweep

    @property
    def path(self) -> list[str]:
        """Entity, project and run id, percent-encoded."""
        return self._path.quoted

    @property
    def url(self) -> str:
        """The page of the run."""
        entity, project, run_id = self._path.quoted
        return f"{self._client.settings.app_url}/{entity}/{project}/runs/{run_id}"

    @property
    def config(self) -> dict[str, Any]:
        """The config that the run was started with, without W&B's own entries.

        The same object at every access, so that what a script changes in it is what `update` sends.
        """
        self._heavy("config")
        return self._config

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config with W&B's own entries."""
        self._heavy("config")
        return {**self._rawconfig, **self._config}

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """The last value of each key, or what ``define_metric`` asked for."""
        return self._heavy("summaryMetrics")

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of each key, or what ``define_metric`` asked for."""
        return self._heavy("summaryMetrics")

    @property
    def system_metrics(self) -> dict[str, Any]:
        """The last sample of the machine that the run was on."""
        return self._heavy("systemMetrics")

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - W&B's name
        """The highest step of the run, -1 without history; each access is one request."""
        last = fetch_history_keys(self._client, self._path).get("lastStep")
        return -1 if last is None else int(last)

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self._path.quoted)} ({self._attrs.get('state', 'not found')})>"


def _unwrapped(entry: object) -> Any:
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry
