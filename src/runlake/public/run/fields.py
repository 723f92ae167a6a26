"""The fields of a run as the backend sent them; large fields are loaded at the first access."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.lacking import check_field
from runlake.backend.graphql.query import fetch_run, mutate
from runlake.backend.http.client import Client
from runlake.backend.http.json_text import parse_json
from runlake.cache.offline_fields import load_fields, load_last_step
from runlake.errors import InvalidType, ProtocolError
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.public.json_values import to_json_value
from runlake.public.lists.attributes import Attributes
from runlake.public.run.page_fields import PageFields, forget_fields
from runlake.public.run.summary import Summary
from runlake.values import (
    INTERNAL_CONFIG,
    BranchPoint,
    RunPath,
    find_branch_point,
    unwrapped,
)

if TYPE_CHECKING:
    from runlake.public.run.metrics import Metric
    from runlake.public.sweeps import Sweep
    from runlake.public.users import User

HEAVY_FIELDS = ("config", "summaryMetrics", "systemMetrics")


class RunFields(Attributes):
    """The fields of a run.

    The backend's fields are attributes too: ``tags``, ``notes``, ``group``, ``job_type``,
    ``description``, ``display_name``, ``created_at``, ``heartbeat_at``, ``commit``, ``read_only``
    and ``history_line_count``. If you assign a value to such an attribute, the object shows your
    value. `Run.update` sends the first six of these attributes to the backend, but not the others.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, run_id : str
        Path of the run.
    attrs : dict, optional
        Fields that were loaded already, as the backend names them. If omitted, the constructor
        loads them with one request.
    lazy : bool
        Load config, summary and system metrics only at their first access.

    Raises
    ------
    InvalidArgument
        If ``attrs`` is not a mapping.
    RunNotFoundError
        If the fields have to be loaded and there is no such run.
    """

    tags: list[str]
    notes: str | None
    group: str | None
    job_type: str | None
    description: str | None
    display_name: str | None
    created_at: str
    heartbeat_at: str
    commit: str | None
    read_only: bool | None
    history_line_count: int | None

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
        if attrs is not None and not isinstance(attrs, Mapping):
            raise InvalidType(f"The fields of a run must be a mapping, not {attrs!r}.")
        self._client = client
        self._path = RunPath(entity, project, run_id)
        self._lazy = lazy
        self._sweep: Sweep | None = None
        self._summary: Summary | None = None
        self._sent: dict[str, Any] | None = None
        self._undecoded: dict[str, str] = {}
        self._page: PageFields | None = None
        if attrs:
            self._take(attrs)
        else:
            self.load()

    def load(self, force: bool = False) -> dict[str, Any]:
        """Load the run's fields with one request, unless they are loaded already.

        Parameters
        ----------
        force : bool
            Load the fields even if they are loaded already.

        Returns
        -------
        dict
            The fields as the backend names them. ``config``, ``summaryMetrics`` and
            ``systemMetrics`` are decoded from JSON, if they were loaded.

        Raises
        ------
        RunNotFoundError
            If there is no such run.
        """
        if force or not self._attrs:
            self._page = None
            fetch = partial(fetch_run, is_light=self._lazy)
            self._take(load_fields(self._client, self._path, fetch))
        return self._attrs

    def load_full_data(self, force: bool = False) -> dict[str, Any]:
        """Load all fields of a lazy run, also config, summary and system metrics, by one request.

        If the run is from a list, the same request loads the fields of up to 100 runs of its page,
        unless ``force`` is True.

        Parameters
        ----------
        force : bool
            Load the fields even if they are loaded already.

        Returns
        -------
        dict
            The fields, as `load` returns them.

        Raises
        ------
        RunNotFoundError
            If there is no such run.
        """
        if self._lazy or force:
            page = None if force else self._page
            fetch = fetch_run if page is None else page.fetch
            self._take(load_fields(self._client, self._path, fetch))
            self._page, self._lazy = None, False
        return self._attrs

    @property
    def is_lazy(self) -> bool:
        """True while config, summary and system metrics have not been loaded."""
        return self._lazy

    def _load_with(self, page: PageFields) -> None:
        """Remember the page of a list that this run is on.

        The first access to config, summary or system metrics then loads these fields for many runs
        of the page in one request.
        """
        self._page = page

    def _has_changed(self) -> None:
        """Drop the fields of this run that a list of runs has loaded for a whole page.

        Called when this object changes the run, because the loaded fields are then out of date.
        """
        self._page = None
        forget_fields(self._path)

    def _take_full_data(self, attrs: Mapping[str, Any]) -> None:
        """Replace all fields by newly loaded fields, also config, summary and system metrics."""
        self._take(attrs)
        self._page, self._lazy = None, False

    def _take(self, attrs: Mapping[str, Any]) -> None:
        taken = dict(attrs)
        self._undecoded = {}
        for name in HEAVY_FIELDS:
            if name in taken:
                taken[name] = self._decoded(name, taken[name])
        if "config" in taken:
            values = {key: unwrapped(entry) for key, entry in taken["config"].items()}
            taken["rawconfig"] = values
            taken["config"] = {k: v for k, v in values.items() if k not in INTERNAL_CONFIG}
        run_id = str(taken.get("name") or self._path.run_id)
        if run_id != self._path.run_id:
            self._path = replace(self._path, run_id=run_id)
        self._attrs = taken
        self._summary = None
        # The cache stores the fields as they were sent: a script may change the decoded ones.
        self._sent = dict(attrs) if "config" in attrs else None

    def _heavy(self, name: str) -> dict[str, Any]:
        if name not in self._attrs:
            self.load_full_data()
        if name not in self._attrs:
            check_field(self._client, "Run", name)
        # The same dict at each access: `update` sends what a script has changed in it.
        found: dict[str, Any] = self._attrs.setdefault(name, {})
        return found

    def _decoded(self, name: str, value: object) -> dict[str, Any]:
        try:
            # Like the SDK, this tolerates control characters in texts.
            decoded = parse_json(value, strict=False) if isinstance(value, (str, bytes)) else value
        except ValueError:
            decoded = value
        if decoded is None:
            return {}
        if isinstance(decoded, dict):
            return decoded
        self._undecoded[name] = value if isinstance(value, str) else json.dumps(value)
        if name != "config" or not isinstance(decoded, list):
            warn(f"The {name} of run '{self._path}' is no JSON object; it is shown as empty.")
        return {}

    @property
    def entity(self) -> str:
        """The user or team that owns the run."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The project of the run."""
        return self._path.project

    @property
    def username(self) -> str:
        """The same as `entity`; W&B has deprecated this name."""
        warn("Run.username is deprecated; use Run.entity.", DeprecationWarning)
        return self._path.entity

    @property
    def id(self) -> str:
        """The short id of the run, unique in its project."""
        return self._path.run_id

    @id.setter  # noqa: A003 - W&B's name
    def id(self, new_id: str) -> None:
        if not new_id or type(new_id) is not str:
            raise InvalidType(f"A run id must be a non-empty string, not {new_id!r}.")
        self._path = replace(self._path, run_id=new_id)
        self._attrs["name"] = new_id

    @property
    def storage_id(self) -> str:
        """The backend's own id of the run."""
        if not self._attrs.get("id"):
            check_field(self._client, "Run", "id")
            raise ProtocolError(
                f"The backend sent no id for '{self._path}', so the run cannot be changed. Call "
                "run.load(force=True) to load it again.",
                operation="Run",
                origin=self._client.origin,
            )
        return str(self._attrs["id"])

    @property
    def name(self) -> str | None:
        """The display name of the run; None if it has no display name."""
        return self._attrs.get("displayName")

    @name.setter
    def name(self, new_name: str | None) -> None:
        if new_name is not None and not isinstance(new_name, str):
            raise InvalidType(f"The name of a run must be a string, not {new_name!r}.")
        self._attrs["displayName"] = new_name

    @property
    def state(self) -> str:
        """State when the run was loaded: ``running``, ``finished``, ``failed``, ``crashed``, ..."""
        if "state" not in self._attrs:
            check_field(self._client, "Run", "state")
        return self._shown_state

    @property
    def _shown_state(self) -> str:
        return str(self._attrs.get("state") or "not found")

    @property
    def user(self) -> User:
        """The user who started the run; raises `AttributeError` if the backend names no user."""
        if not self._attrs.get("user"):
            raise AttributeError(f"The backend names no user for {self!r}.")
        from runlake.public.users import User

        return User(self._attrs["user"])

    @property
    def sweep_name(self) -> str | None:
        """The id of the sweep that started the run; None if no sweep did."""
        return self._attrs.get("sweepName")

    @property
    def sweep(self) -> Sweep | None:
        """The sweep that started the run, or None; the first access makes one request."""
        if self._sweep is None and self.sweep_name:
            from runlake.public.sweeps import Sweep

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
        """The URL of the run's page."""
        entity, project, run_id = self._path.quoted
        return f"{self._client.settings.app_url}/{entity}/{project}/runs/{run_id}"

    @property
    def config(self) -> dict[str, Any]:
        """The config of the run, without W&B's own entries.

        Every access returns the same dict. Changes in the dict are sent by `update`.
        """
        return self._heavy("config")

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config of the run, with W&B's own entries."""
        config = self._heavy("config")
        # A script may have added or deleted keys in `config`.
        raw: dict[str, Any] = self._attrs.setdefault("rawconfig", {})
        for key in raw.keys() - config.keys() - INTERNAL_CONFIG:
            del raw[key]
        raw.update(config)
        return raw

    @property
    def json_config(self) -> str:
        """The config as JSON in the backend's form: each value is wrapped as ``{"value": ...}``."""
        values = {"_wandb": self.rawconfig["_wandb"]} if "_wandb" in self.rawconfig else {}
        if not all(isinstance(key, str) for key in self.config):
            raise InvalidType(f"The keys of a config are strings, not {list(self.config)!r}.")
        values |= self.config
        wrapped = {
            key: {"value": to_json_value(value, f"config[{key!r}]", keeps_nan=True), "desc": None}
            for key, value in values.items()
        }
        return json.dumps(wrapped)

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """The summary: the last value of each key, or the value ``define_metric`` requested."""
        return self._heavy("summaryMetrics")

    @property
    def summary(self) -> Summary:
        """The summary as a mapping whose changes can be sent to the backend."""
        values = self.summary_metrics
        if self._summary is None:
            # `summary` and `summary_metrics` share one dict, as in the SDK.
            self._summary = Summary(values, self._send_summary)
        return self._summary

    @property
    def history_keys(self) -> dict[str, Any] | None:
        """Types, counts and last values of the history's keys, when the run was loaded."""
        if "historyKeys" not in self._attrs:
            self.load_full_data()
        return self._attrs.get("historyKeys")

    def metrics(self) -> list[Metric]:
        """Return the metrics that ``define_metric`` declared.

        Returns
        -------
        list of Metric
            In the order of declaration; empty if none was declared.
        """
        from runlake.public.run.metrics import read_metrics

        return read_metrics(self.rawconfig.get("_wandb"))

    @property
    def forked_from(self) -> BranchPoint | None:
        """The run and the step from which the run was forked; None if it was not forked.

        Notes
        -----
        This is the branch point that the SDK writes into the config of a fork. W&B's service loses
        the branch point if the fork is resumed later; the server of ``runlake serve`` keeps it.
        """
        return find_branch_point(self._path, self.rawconfig.get("_wandb"))

    @property
    def system_metrics(self) -> dict[str, Any]:
        """The last sampled value of each system metric, by key."""
        return self._heavy("systemMetrics")

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - W&B's name
        """The highest step of the run; -1 if it has no history. Each access makes one request."""
        return load_last_step(self._client, self._path)

    def _send_summary(self, values: Mapping[str, Any]) -> None:
        variables = {"id": self.storage_id, "summaryMetrics": json.dumps(values)}
        mutate(self._client, documents.UPDATE_SUMMARY, variables, is_idempotent=True)
        self._has_changed()

    def __getstate__(self) -> dict[str, Any]:
        # A copy, perhaps in another process, must not have the fields of other runs.
        return {**self.__dict__, "_page": None}

    def __repr__(self) -> str:
        return line_for_screen(f"<Run {'/'.join(self._path.quoted)} ({self._shown_state})>")
