"""`Run`: one run, with W&B's method names."""

from __future__ import annotations

import secrets
import string
import time
from typing import TYPE_CHECKING, Any, Literal

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import mutate, query_run
from runlake.errors import InvalidArgument, InvalidType, ProtocolError, WaitTimeout
from runlake.public.lists.attributes import client_of, frame_of
from runlake.public.run.artifacts import RunArtifacts
from runlake.public.run.exports import RunExports
from runlake.public.run.files import RunFiles
from runlake.public.run.history import RunHistory
from runlake.public.run.keys import RunKeys
from runlake.public.run.media import RunMedia
from runlake.public.run.plots import RunPlots
from runlake.values import check_text

if TYPE_CHECKING:
    from runlake.public.api import Api

# The SDK waits for ever for a run that was killed.
ENDED = {"finished", "failed", "crashed", "killed"}
ID_LETTERS = string.ascii_lowercase + string.digits
NOT_IN_IDS = set(":;,#?/'")
NOT_IN_PROJECTS = set("/\\#?%:")
MAX_PROJECT_NAME = 128


class Run(RunHistory, RunKeys, RunPlots, RunExports, RunFiles, RunArtifacts, RunMedia):
    """One run of a project; returned by `Api.run`, `Api.runs` and `Run.create`."""

    @classmethod
    def create(
        cls,
        api: Api,
        run_id: str | None = None,
        project: str | None = None,
        entity: str | None = None,
        state: Literal["running", "pending"] = "running",
    ) -> Run:
        """Create an empty run, to which another program can log, with one request.

        Parameters
        ----------
        api : Api
            The `Api` of the backend on which the run is created.
        run_id : str, optional
            Eight random characters if omitted.
        project : str, optional
            If omitted, the project of the settings is used, else ``uncategorized``.
        entity : str, optional
            If omitted, the entity of the settings is used, else the user's default entity.
        state : {"running", "pending"}
            ``pending`` for a run that will be resumed later.

        Returns
        -------
        Run
            A run with empty config and summary. If there is already a run with this id, the
            existing run is returned; a second request loads its fields.

        Raises
        ------
        InvalidArgument
            If a name has forbidden characters, or the state is neither "running" nor "pending".
        BackendError
            If the backend refuses the request.
        """
        client = client_of(api)
        if state not in {"running", "pending"}:
            raise InvalidArgument(f"state must be 'running' or 'pending', not {state!r}.")
        variables = {
            "name": _checked_id(run_id or "".join(secrets.choice(ID_LETTERS) for _ in range(8))),
            "project": _checked_project(project or client.settings.project or "uncategorized"),
            "entity": _checked_text(entity or client.settings.entity, "entity"),
            "state": state,
        }
        answer = mutate(client, documents.CREATE_RUN, variables, is_idempotent=True)
        payload = answer.get("upsertBucket") or {}
        bucket = payload.get("bucket") or {}
        try:
            home = bucket["project"]
            names = (home["entity"]["name"], home["name"], bucket["name"])
        except (KeyError, TypeError) as error:
            raise ProtocolError(
                f"{client.origin} did not send the path of the created run.",
                operation="UpsertBucket",
                origin=client.origin,
            ) from error
        # The run exists. With an empty object, `update` would replace its data by empty values.
        if not payload.get("inserted", True):
            return cls(client, *names, lazy=False)
        known = {
            "id": bucket["id"],
            "name": bucket["name"],
            "config": "{}",
            "summaryMetrics": "{}",
            "systemMetrics": "{}",
            "tags": [],
            "description": None,
            "notes": None,
            "state": state,
        }
        return cls(client, *names, known, lazy=False)

    def update(self) -> None:
        """Send name, tags, notes, description, group, job type, config and summary to the backend.

        Makes two requests, and one more if config and summary were not loaded yet. Config and
        summary are sent whole, with the values that this object has. The state and the history of
        the run do not change. A config or summary that is not a JSON object is shown as empty, and
        is replaced only if a value was added to it.

        Raises
        ------
        InvalidArgument
            If a value is of the wrong type; this is checked before anything is sent.
        BackendError
            If the backend refuses the request.
        """
        # A config that could not be decoded is sent back as it came, unless a script has set keys.
        is_unread = not self.config and "config" in self._undecoded
        config = self._undecoded["config"] if is_unread else self.json_config
        # Loaded before anything is sent: a run from a list may not have its summary yet.
        summary = self.summary
        variables = {
            "entity": self.entity,
            "project": self.project,
            "name": self.id,
            "id": self.storage_id,
            "config": config,
            "tags": _checked_tags(getattr(self, "tags", None)),
            "description": _checked_text(getattr(self, "description", None), "description"),
            "notes": _checked_text(getattr(self, "notes", None), "notes"),
            "display_name": _checked_text(getattr(self, "display_name", None), "display_name"),
            "groupName": _checked_text(getattr(self, "group", None), "group"),
            "jobType": _checked_text(getattr(self, "job_type", None), "job_type"),
        }
        mutate(self._client, documents.UPDATE_RUN, variables, is_idempotent=True)
        self._has_changed()
        # A summary that could not be decoded must not be replaced by an empty one.
        if summary or "summaryMetrics" not in self._undecoded:
            summary.update()

    def save(self) -> None:
        """Send name, tags, config and other fields to the backend. This is an alias of `update`."""
        self.update()

    def update_state(self, state: str) -> bool:
        """Change the state of the run.

        Parameters
        ----------
        state : str
            The new state. A run that is running, failed, crashed or preempted can become
            ``pending``, to be run again. A run that is pending or running can become ``failed``.

        Returns
        -------
        bool
            True if the backend changed the state, else False.

        Raises
        ------
        InvalidArgument
            If the state is empty or not a string.
        BackendError
            If the backend refuses; the run does not change. Backends refuse this change for
            runs of sweeps.
        """
        if not _checked_text(state, "state"):
            raise InvalidArgument("state must be 'pending' or 'failed'.")
        variables = {"input": {"id": self.storage_id, "state": state}}
        # If only the answer was lost, a repetition is refused: no state may be set twice in a row.
        answer = mutate(self._client, documents.UPDATE_RUN_STATE, variables, is_idempotent=False)
        if not (answer.get("updateRunState") or {}).get("success"):
            return False
        self._has_changed()
        self._attrs["state"] = state
        return True

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run with its history and files.

        Parameters
        ----------
        delete_artifacts : bool
            Also delete the artifacts that the run logged.

        Raises
        ------
        InvalidArgument
            If the flag is not a bool.
        BackendError
            If the backend refuses, for example because the run is deleted already.
        """
        if not isinstance(delete_artifacts, bool):
            raise InvalidType(f"delete_artifacts must be True or False, not {delete_artifacts!r}.")
        variables = {"id": self.storage_id, "deleteArtifacts": delete_artifacts}
        # If only the answer was lost, a repetition would report that there is no such run.
        mutate(self._client, documents.DELETE_RUN, variables, is_idempotent=False)
        self._has_changed()

    def stop(self) -> None:
        """Ask the run to stop.

        The backend passes this on to the run's process in its response to the next request of the
        process. The process then shuts down in an orderly way.

        Raises
        ------
        BackendError
            If the backend refuses the request.
        """
        mutate(self._client, documents.STOP_RUN, {"id": self.storage_id}, is_idempotent=True)

    def wait_until_finished(self, timeout: float | None = None, poll_interval: float = 5) -> None:
        """Wait until the run has finished, failed or crashed, or was killed.

        Parameters
        ----------
        timeout : float, optional
            Maximum number of seconds to wait; no limit if omitted.
        poll_interval : float
            Seconds between requests.

        Raises
        ------
        InvalidArgument
            If ``timeout`` or ``poll_interval`` is negative or not a number.
        WaitTimeout
            If the run has not ended within ``timeout``.
        RunNotFoundError
            If the run was deleted.
        """
        for seconds, name in ((timeout or 0, "timeout"), (poll_interval, "poll_interval")):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                raise InvalidType(f"{name} must be a number of seconds, not {seconds!r}.")
            if not seconds >= 0:
                raise InvalidArgument(f"{name} must not be negative, found {seconds!r}.")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            state = query_run(self._client, documents.RUN_STATE, self._path).get("state")
            self._attrs["state"] = state
            # The run may have logged since its page was loaded.
            self._has_changed()
            if state in ENDED:
                return
            left = poll_interval if deadline is None else deadline - time.monotonic()
            if deadline is not None and left <= 0:
                raise WaitTimeout(
                    f"Run '{self._path}' was still {state} after {timeout:g} seconds. Wait longer, "
                    "or read its output with run.console_logs(last=20).",
                    run=str(self._path),
                    state=state,
                )
            time.sleep(min(poll_interval, left))

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return HTML with the run's page in a frame.

        Parameters
        ----------
        height : int
            Height of the frame in pixels.
        hidden : bool
            Show a button that opens the frame.

        Returns
        -------
        str
            An ``iframe`` element.
        """
        return frame_of(self.url, height, hidden=hidden, shows="run")

    def _card(self, height: int | None = None) -> str:
        from runlake.public.cards.run import show_run_with_charts

        return show_run_with_charts(self, height)

    def _repr_html_(self) -> str:
        from runlake.public.cards.run import show_run

        return show_run(self)


def _checked_id(run_id: Any) -> str:
    name = str(_checked_text(run_id, "run_id"))
    if name != name.strip() or NOT_IN_IDS & set(name):
        raise InvalidArgument(
            "A run id must not begin or end with a space, or contain any of : ; , # ? / ', "
            f"found {name!r}."
        )
    return name


def _checked_project(project: Any) -> str:
    name = str(_checked_text(project, "project"))
    if len(name) > MAX_PROJECT_NAME or NOT_IN_PROJECTS & set(name):
        raise InvalidArgument(
            f"A project's name must have at most {MAX_PROJECT_NAME} characters and none of "
            f"/ \\ # ? % :, found {name!r}."
        )
    return name


def _checked_text(value: Any, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidType(f"{name} must be a string, not {value!r}.")
    return None if value is None else check_text(value, f"The {name}")


def _checked_tags(tags: Any) -> list[str] | None:
    if tags is None:
        return None
    if not isinstance(tags, (list, tuple, set)) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidType(f"tags must be a list of strings, not {tags!r}.")
    return list(tags)
