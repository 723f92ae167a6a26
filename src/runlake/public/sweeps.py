"""A sweep, and the list of a project's sweeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from runlake.backend.graphql import documents
from runlake.backend.graphql.features import fetch_features
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import MissingExtra, SweepNotFoundError, UnsupportedError
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.public.links import runs_of
from runlake.public.lists.attributes import Attributes, frame_of
from runlake.public.lists.filters import checked_filters
from runlake.public.lists.in_project import PagesInProject
from runlake.public.lists.pages import Page, SizedPages

if TYPE_CHECKING:
    from runlake.public.run.run import Run
    from runlake.public.runs.runs import Runs


# Names in an order that are columns of a run; every other name means a key of the summary.
RUN_COLUMNS = {
    "createdAt",
    "created_at",
    "heartbeatAt",
    "heartbeat_at",
    "name",
    "sweep",
    "updatedAt",
    "updated_at",
}
# First parts of dotted names that are columns of a run.
RUN_SECTIONS = {"config", "summary_metrics", "tags"}


class Sweep(Attributes):
    """A hyperparameter search; its fields, such as ``state`` and ``method``, are attributes.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, sweep_id : str
        Path of the sweep.
    attrs : mapping, optional
        Fields that were loaded already. If omitted, the constructor loads them with one request.

    Raises
    ------
    SweepNotFoundError
        If there is no such sweep.
    """

    # For type checkers; the value is found by `Attributes.__getattr__`.
    state: str

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        sweep_id: str,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(dict(attrs or {}))
        self._client = client
        self.entity = entity
        self.project = project
        self.id = sweep_id
        self.load()

    def load(self, force: bool = False) -> dict[str, Any]:
        """Load the sweep's fields with one request, unless they are loaded already.

        Parameters
        ----------
        force : bool
            Load the fields even if they are loaded already.

        Returns
        -------
        dict
            The fields as the backend names them.
        """
        if force or not self._attrs:
            variables = {"entity": self.entity, "project": self.project, "name": self.id}
            found = query(self._client, documents.SWEEP, variables)
            sweep = (found.get("project") or {}).get("sweep")
            if sweep is None:
                raise SweepNotFoundError(
                    f"Could not find sweep {self!r} at {self._client.origin}.",
                    operation="GetSweep",
                    origin=self._client.origin,
                )
            self._attrs = dict(sweep)
        return self._attrs

    @property
    def config(self) -> dict[str, Any]:
        """The sweep's configuration, parsed from YAML. This needs the extra ``sweeps``."""
        text = self._attrs.get("config") or ""
        if text.strip() in {"", "{}"}:
            return {}
        try:
            import yaml
        except ImportError:
            raise MissingExtra(
                "The config of a sweep is YAML, and no YAML parser is installed. Install it with "
                "'pip install runlake[sweeps]'.",
                extra="sweeps",
            ) from None
        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            # A warning, not an error: `name` reads the config too, and pages show it in their
            # lists.
            found = text
        if found is None or isinstance(found, dict):
            return found or {}
        warn(f"The config of sweep {'/'.join(self.path)} is no YAML mapping; it is shown as empty.")
        return {}

    @property
    def name(self) -> str:
        """The sweep's display name, else the name in the sweep's config, else the sweep's id."""
        return str(self._attrs.get("displayName") or self.config.get("name") or self.id)

    @property
    def runs(self) -> Runs:
        """The runs of the sweep, listed page by page as they are accessed."""
        return self._list_runs()

    @property
    def username(self) -> str:
        """The same as `entity`; W&B has deprecated this name."""
        warn("Sweep.username is deprecated; use Sweep.entity.", DeprecationWarning)
        return self.entity

    @property
    def order(self) -> str | None:
        """The order for `Api.runs` with the best run first; None if the sweep has no metric."""
        metric = self.config.get("metric")
        if not isinstance(metric, dict) or "name" not in metric:
            return None
        sign = "+" if metric.get("goal", "minimize") == "minimize" else "-"
        return f"{sign}summary_metrics.{metric['name']}"

    def best_run(self, order: str | None = None) -> Run | None:
        """Return the best run of the sweep, or, if ``order`` is given, the first run in this order.

        Parameters
        ----------
        order : str, optional
            As for `Api.runs`, or the key of a summary: ``acc`` and ``-acc`` put the run with the
            highest ``acc`` first, ``+loss`` the run with the lowest ``loss``. If omitted, the order
            is by the sweep's metric; if the sweep has no metric, by creation time.

        Returns
        -------
        Run or None
            None if the sweep has no runs.
        """
        chosen = (summary_order(order) if order else self.order) or "+created_at"
        best = self._list_runs(order=chosen, per_page=1)[:1]
        return best[0] if best else None

    def _list_runs(self, **options: Any) -> Runs:
        # In the form that the SDK sends.
        filters = {"$and": [{"sweep": self.id}]}
        return runs_of(self._client, self.entity, self.project, filters, **options)

    @property
    def expected_run_count(self) -> int | None:
        """The number of runs that the sweep will have; None if that is unknown."""
        return self._attrs.get("runCountExpected")

    @property
    def path(self) -> list[str]:
        """Entity, project and sweep id, percent-encoded."""
        return [quote_plus(name) for name in (self.entity, self.project, self.id)]

    @property
    def url(self) -> str:
        """The URL of the sweep's page."""
        names = (self.entity, self.project, self.id)
        entity, project, sweep = (quote(name, safe="") for name in names)
        return f"{self._client.settings.app_url}/{entity}/{project}/sweeps/{sweep}"

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return HTML that shows the page of the sweep."""
        return frame_of(self.url, height, hidden=hidden, shows="sweep")

    def _card(self, height: int | None = None) -> str:
        from runlake.public.cards.runs import show_sweep

        return show_sweep(self, height)

    def _repr_html_(self) -> str:
        return self._card()

    def __repr__(self) -> str:
        return line_for_screen(
            f"<Sweep {'/'.join(self.path)} ({self._attrs.get('state', 'Unknown State')})>"
        )


def summary_order(order: str) -> str:
    """Expand a short order of runs, such as ``acc``, to an order for `Api.runs`, as the SDK does.

    Parameters
    ----------
    order : str
        A name in `RUN_COLUMNS`, a path such as ``config.lr``, or a key of the summary, after ``+``
        or ``-``; descending without a sign.

    Returns
    -------
    str
        An order for `Api.runs`.

    Examples
    --------
    >>> summary_order("acc"), summary_order("+val.loss"), summary_order("+created_at")
    ('-summary_metrics.acc', '+summary_metrics.val.loss', '+created_at')
    >>> summary_order("config.lr")
    '-config.lr'
    """
    sign, name = (order[0], order[1:]) if order.startswith(("+", "-")) else ("-", order)
    section, dot, _ = name.partition(".")
    is_column = section in RUN_SECTIONS if dot else name in RUN_COLUMNS
    return f"{sign}{name}" if is_column else f"{sign}summary_metrics.{name}"


class Sweeps(PagesInProject[Sweep], SizedPages[Sweep]):
    """The sweeps of a project, fetched page by page as they are accessed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        The project of the sweeps.
    per_page : int
        Sweeps per request.
    filters : mapping, optional
        Filters in the language of `Api.runs`: ``{"state": "FINISHED"}``.

    Raises
    ------
    InvalidArgument
        If an argument is wrong; this is checked before any request.
    UnsupportedError
        If filters are given and the backend is too old to filter; the check makes one request.
    """

    _operation = "GetSweeps"

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        per_page: int = 50,
        filters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(client, entity, project, per_page)
        self.filters = checked_filters(filters)
        if self.filters and documents.SWEEP_FILTERS not in fetch_features(client):
            raise UnsupportedError(
                f"{client.origin} is too old to filter sweeps. List all, and filter in Python."
            )

    def _key(self, one: Sweep) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the sweeps of '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[Sweep]:
        chosen = {"filters": json.dumps(self.filters)} if self.filters else {}
        document = documents.sweeps(is_filtered=bool(self.filters))
        project = self._ask(document, cursor, **chosen)
        return self._page(project.get("sweeps"), project.get("totalSweeps"))

    def _open(self, edge: dict[str, Any]) -> Sweep:
        node = edge["node"]
        return Sweep(self._client, self.entity, self.project, str(node["name"]), node)

    def __repr__(self) -> str:
        return line_for_screen(f"<Sweeps {self._place}>")
