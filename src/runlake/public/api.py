"""`Api`, the entry point: it returns runs, projects, sweeps and artifacts of one backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import mutate, query
from runlake.backend.http.client import USER_AGENT, Client
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.errors import AccessDenied, AuthenticationError, InvalidArgument
from runlake.public.artifacts.api import ApiArtifacts
from runlake.public.default_entity import UNNAMED
from runlake.public.lists.filters import checked_filters
from runlake.public.missing import say_missing
from runlake.public.run.run import Run
from runlake.settings import Settings, load_settings
from runlake.values import (
    DEFAULT_ORDER,
    ProjectPath,
    RunPath,
    check_text,
    is_url,
    split_url,
    url_parts,
)

# Other modules are imported by the methods that use them: a script that reads one run needs none.
if TYPE_CHECKING:
    from runlake.public.projects import Project, Projects
    from runlake.public.runs.runs import Condition, Runs
    from runlake.public.sweeps import Sweep
    from runlake.public.users import Team, User

# These host names count as equal when a URL is compared with the address of the backend.
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Api(ApiArtifacts):
    """Reads from one W&B backend; the constructor sends no request.

    Parameters
    ----------
    overrides : mapping, optional
        Any of ``base_url``, ``app_url``, ``entity``, ``project`` and ``cache_dir``. These values
        take precedence over the environment.
    timeout : float, optional
        Time limit of one request, in seconds.
    api_key : str, optional
        The API key. It takes precedence over ``WANDB_API_KEY``, settings files and netrc.
    offline : bool, optional
        Read only from the cache, without requests. If omitted, the setting ``RUNLAKE_OFFLINE``
        decides.

    Raises
    ------
    SettingsError
        If a setting has an invalid value.

    Notes
    -----
    If neither a path nor a setting names the entity, the default entity of the API key's user is
    used; looking it up costs one request.
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
        self._viewer: User | None = None
        self._runs: dict[str, Run] = {}
        self._lists: dict[str, Runs] = {}
        self._projects: dict[str, Projects] = {}

    @property
    def settings(self) -> Settings:
        """The settings in use: arguments, environment and settings files combined."""
        return self._client.settings

    @property
    def viewer(self) -> User:
        """The API key's user; the first access makes one request.

        Raises
        ------
        AuthenticationError
            If the backend knows no user for the key.
        """
        if self._viewer is None:
            found = query(self._client, documents.VIEWER, {}).get("viewer")
            if found is None:
                raise AuthenticationError(
                    f"{self._client.origin} knows no user for this API key. Check WANDB_API_KEY, "
                    "or the key in ~/.netrc.",
                    operation="GetViewer",
                    origin=self._client.origin,
                )
            from runlake.public.users import User

            self._viewer = User(found)
            self._default_entity = found.get("entity")
        return self._viewer

    def team(self, team: str) -> Team:
        """Fetch a team, or the entity of a user, with its members; this makes one request.

        Parameters
        ----------
        team : str
            Name of the team or the user.

        Raises
        ------
        AccessDenied
            If the backend sends no team: there is none, or the user of the API key may not see it.
        BackendError
            If the backend refuses the request for one of these reasons.
        """
        from runlake.public.users import Team

        check_text(team, "The team")
        found = query(self._client, documents.TEAM, {"name": team}).get("entity")
        if found is None:
            raise AccessDenied(
                f"{self._client.origin} shows no team {team!r}. Check the name, and that the API "
                "key's user is a member.",
                operation="GetTeamEntity",
                origin=self._client.origin,
            )
        return Team(found)

    @property
    def api_key(self) -> str | None:
        """The API key in clear text, for a script's own requests; None if no key was found."""
        key = self.settings.api_key
        return None if key is None else key.reveal()

    def run(self, path: str = "") -> Run:
        """Return a run; until `flush` is called, the same path returns the same object.

        Parameters
        ----------
        path : str
            ``entity/project/run_id``, one of its short forms, or the URL of the run's page.

        Returns
        -------
        Run
            The run, whose fields were loaded by one request.

        Raises
        ------
        InvalidArgument
            If a part of the path is missing, or the URL belongs to another backend.
        RunNotFoundError
            If there is no such run.
        """
        parsed = self._parsed(path)
        # As in the SDK, the same text gives the same object until `flush` is called.
        if path not in self._runs:
            names = (self._entity(parsed.entity), parsed.project, parsed.run_id)
            # Another thread may have opened the same path meanwhile: all get the same object.
            self._runs.setdefault(path, Run(self._client, *names, lazy=False))
        return self._runs[path]

    def from_path(self, path: str) -> Run | Project | Sweep:
        """Return the run, project or sweep at a path.

        Parameters
        ----------
        path : str
            ``project``, ``entity/project``, ``entity/project/run_id``,
            ``entity/project/runs/run_id``, ``entity/project/sweeps/sweep_id``, or the URL of a
            page of a project, run or sweep.

        Returns
        -------
        Run, Project or Sweep
            The object that `run`, `project` or `sweep` returns for the path.

        Raises
        ------
        InvalidArgument
            If the path has none of these forms.
        """
        if is_url(str(path)):
            return self._of_url(path)
        parts = str(path).strip("/ ").split("/")
        if len(parts) == len(("entity", "project", "sweeps", "id")):
            if parts[2].startswith("sweep"):
                return self.sweep(path)
            if parts[2].startswith("run"):
                return self.run(path)
        if len(parts) == len(("entity", "project", "id")):
            return self.run(path)
        if len(parts) in {1, 2} and all(parts):
            return self.project(parts[-1], parts[0] if len(parts) > 1 else None)
        raise InvalidArgument(
            f"Invalid path: {path!r}. It reads 'entity/project', 'entity/project/run_id', "
            "'entity/project/runs/run_id' or 'entity/project/sweeps/sweep_id'."
        )

    @property
    def user_agent(self) -> str:
        """The User-Agent header of requests."""
        return USER_AGENT

    def runs(
        self,
        path: str | None = None,
        filters: Condition | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
        include_sweeps: bool = False,
        lazy: bool = True,
    ) -> Runs:
        """Return the runs of a project as a list that is fetched page by page.

        Parameters
        ----------
        path : str, optional
            ``entity/project``, ``project`` or the URL of a page of the project; the configured
            project if omitted.
        filters : dict, polars.Expr or callable, optional
            A polars expression over the columns of ``frame(flat=True)``, or a function that takes a
            `Run`, is evaluated in this call, as by `Runs.where`. A dict has conditions in a
            MongoDB-like language:
            ``{"$and": [{"config.lr": {"$gt": 0.01}}, {"state": "finished"}]}``. Operators are
            ``$and $or $nor $not $eq $ne $gt $gte $lt $lte $in $nin $all $regex $exists``. Times
            may be ``datetime`` objects; without a time zone they are taken as UTC. Fields are
            ``config.<key>``, ``summary_metrics.<key>``, ``tags``, ``state``, ``name`` (the run's
            id), ``displayName``, ``group``, ``jobType``, ``username``, ``createdAt``,
            ``heartbeatAt``, ``duration``, ``sweep``, ...
        order : str
            ``+`` (ascending) or ``-`` (descending) and a field: ``-summary_metrics.acc``. Runs
            without the field come last.
        per_page : int
            Runs per request.
        include_sweeps : bool
            Fetch the sweeps of the runs together with the list; each sweep costs one request.
        lazy : bool
            List the runs without config and summary. The first access to either of them fetches
            both, for up to 100 runs of the same page in one request.

        Returns
        -------
        Runs
            The list, which requests a page of runs when the page is first used. If ``filters`` is
            an expression or a function, all runs are requested in this call. A second call with the
            same path, dict and order returns the same list, until `flush` is called.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request. Only an error in an
            expression is found later, when the expression is evaluated.
        """
        from runlake.public.runs.runs import Runs, check_condition

        found = self._parsed_project(path)
        sent = filters if isinstance(filters, Mapping) else None
        condition = None if sent is filters else filters
        if condition is not None:
            check_condition(condition, "filters")
        # Like the SDK's key: `per_page` is no part of it, so a list keeps the page size of its
        # first call.
        asked = f"{path or ''}{checked_filters(sent)}{order}"
        if condition is not None or asked not in self._lists:
            new = Runs(
                self._client,
                found.entity or UNNAMED,
                found.project,
                sent,
                order,
                per_page,
                include_sweeps,
                lazy,
            )
            # Look the entity up only now, so that a wrong argument is found before any request.
            new.entity = self._entity(new.entity)
            if condition is not None:
                return new.where(condition)
            self._lists.setdefault(asked, new)
        listed = self._lists[asked]
        if not lazy:
            listed.upgrade_to_full()
        return listed

    def project(self, name: str, entity: str | None = None) -> Project:
        """Return a project without its fields; the first access to a field loads all fields.

        Parameters
        ----------
        name : str
            The project, or the URL of a page of the project.
        entity : str, optional
            Owner of the project. If omitted, the configured entity is used, else the user's default
            entity. Ignored if ``name`` is a URL, which contains the entity.

        Returns
        -------
        Project
            A project whose fields have not been loaded yet.

        Raises
        ------
        InvalidArgument
            If a URL belongs to another backend, or names no project.
        """
        from runlake.public.projects import Project

        if is_url(name):
            found = self._parsed_project(name)
            return Project(self._client, self._entity(found.entity), found.project)
        check_text(name, "The project")
        return Project(self._client, self._entity(entity), name)

    def projects(self, entity: str | None = None, per_page: int = 200) -> Projects:
        """Return an entity's projects; until `flush` is called, each call returns the same list.

        Parameters
        ----------
        entity : str, optional
            If omitted, the configured entity is used, else the user's default entity.
        per_page : int
            Projects per request.

        Returns
        -------
        Projects
            The list, which requests a page of projects when the page is first used.
        """
        from runlake.public.projects import Projects

        owner = self._entity(entity)
        if owner not in self._projects:
            self._projects.setdefault(owner, Projects(self._client, owner, per_page))
        return self._projects[owner]

    def sweep(self, path: str = "") -> Sweep:
        """Fetch a sweep with one request.

        Parameters
        ----------
        path : str
            ``entity/project/sweep_id``, one of its short forms, or the URL of the sweep's page.

        Returns
        -------
        Sweep
            The sweep, with its fields.

        Raises
        ------
        SweepNotFoundError
            If there is no such sweep.
        """
        from runlake.public.sweeps import Sweep

        parsed = self._parsed(path, page="sweeps")
        return Sweep(self._client, self._entity(parsed.entity), parsed.project, parsed.run_id)

    def create_project(self, name: str, entity: str) -> None:
        """Create a project, unless it exists.

        Parameters
        ----------
        name : str
            1 to 128 characters; no slash, no backslash, and none of ``#?%:``.
        entity : str
            Owner of the project.

        Raises
        ------
        BackendError
            If the backend refuses the request.
        """
        variables = {"name": name, "entity": entity}
        mutate(self._client, documents.CREATE_PROJECT, variables, is_idempotent=True)

    def create_run(
        self,
        *,
        run_id: str | None = None,
        project: str | None = None,
        entity: str | None = None,
    ) -> Run:
        """Create an empty run, to which another program can log.

        Parameters
        ----------
        run_id : str, optional
            The id of the run; random if omitted.
        project : str, optional
            If omitted, the configured project is used, else ``uncategorized``.
        entity : str, optional
            If omitted, the configured entity is used, else the user's default entity.

        Returns
        -------
        Run
            A run in the state "running", without config and history. If there is already a run with
            this id, the existing run is returned.
        """
        return Run.create(self, run_id, project, self._entity(entity))

    def flush(self) -> None:
        """Forget all returned runs and lists, so that later calls request them again."""
        self._runs.clear()
        self._lists.clear()
        self._projects.clear()

    def _parsed(self, path: str, page: str = "runs") -> RunPath:
        settings = self.settings
        if is_url(path):
            _check_host(path, settings)
        entity = settings.entity or UNNAMED
        return RunPath.parse(path, entity=entity, project=settings.project, page=page)

    def _parsed_project(self, path: str | None) -> ProjectPath:
        settings = self.settings
        if path is not None and is_url(path):
            _check_host(path, settings)
        return ProjectPath.parse(path, entity=settings.entity, project=settings.project)

    def _of_url(self, url: str) -> Run | Project | Sweep:
        for page, read in (("runs", self.run), ("sweeps", self.sweep)):
            # After entity and project, which may have such a name too, and before an id.
            if page in url_parts(url)[2:-1]:
                return read(url)
        return self.project(url)

    # Type checkers must report a misspelt name, which a visible `__getattr__` would accept.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            text = f"'Api' object has no attribute {name!r}"
            raise AttributeError(say_missing("Api", name, text), name=name)

    def __getstate__(self) -> dict[str, Any]:
        # Runs and lists are left out: they are cheap to fetch again, and a pickled `Api` is sent to
        # workers with every task.
        return {**self.__dict__, "_runs": {}, "_lists": {}, "_projects": {}}

    def __repr__(self) -> str:
        return f"<Api {self.settings.base_url}>"


def _check_host(url: str, settings: Settings) -> None:
    ours = {split_url(known).hostname for known in (settings.app_url, settings.base_url)}
    host = split_url(url).hostname
    # A tunnel or a port forward shows the same backend under another name of this machine.
    if host not in ours and not {host, *ours} <= LOOPBACK:
        raise InvalidArgument(
            f"{url!r} is a page of another backend than {settings.app_url}. To read from there, "
            "set WANDB_BASE_URL, or pass Api the override base_url."
        )
