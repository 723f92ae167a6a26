"""Replace the history methods of an imported ``wandb`` by methods of runlake."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from runlake.backend.http.client import Client
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.errors import IncompleteRunHistoryError, MissingExtra, RunlakeError
from runlake.public.run.export_copies import DownloadHistoryResult
from runlake.public.run.history_scan import HistoryScan
from runlake.public.run.run import Run
from runlake.settings import load_settings
from runlake.values import Row

METHODS = ("scan_history", "beta_scan_history", "history", "download_history_exports")


class Acceleration:
    """Replaces methods of the SDK until `undo` is called, or a ``with`` block ends.

    Parameters
    ----------
    wandb : module
        The imported SDK.
    """

    def __init__(self, wandb: Any) -> None:
        from wandb.apis import public

        self._wandb = wandb
        self._public = public
        self._clients: dict[tuple[str, str | None], Client] = {}
        methods = vars(public.Run)
        # SDKs before 0.24 have neither beta_scan_history nor download_history_exports.
        self._originals = {name: methods[name] for name in METHODS if name in methods}
        self.is_active = True
        for name, original in self._originals.items():
            setattr(public.Run, name, self._replacement(name, original))

    def undo(self) -> None:
        """Restore the SDK's own methods; runlake's cache is not deleted."""
        if self.is_active:
            for name, original in self._originals.items():
                setattr(self._public.Run, name, original)
            self.is_active = False

    def _replacement(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def replacement(run: Any, *arguments: Any, **options: Any) -> Any:
            with self._sdk_errors():
                result = getattr(self._our_run(run), name)(*arguments, **options)
            # Rows are fetched while the scan is iterated, so errors are raised after this method
            # has ended.
            if isinstance(result, HistoryScan):
                return _SdkScan(result, self)
            return self._sdk_result(result) if isinstance(result, DownloadHistoryResult) else result

        return replacement

    def _sdk_result(self, result: DownloadHistoryResult) -> Any:
        kind = getattr(self._public, "DownloadHistoryResult", DownloadHistoryResult)
        return kind(result.paths, result.contains_live_data, result.errors)

    def _our_run(self, run: Any) -> Run:
        where = _server_of(run)
        if where not in self._clients:
            settings = load_settings({"base_url": where[0]}, api_key=where[1])
            self._clients[where] = Client(settings, SharedBudget(settings))
        # With these fields the constructor makes no request; reads need no others.
        attrs = {"name": run.id, "state": run.state}
        return Run(self._clients[where], run.entity, run.project, run.id, attrs)

    @contextmanager
    def _sdk_errors(self) -> Iterator[None]:
        """Within the ``with`` block, convert errors of runlake to the SDK's error classes."""
        try:
            yield
        except IncompleteRunHistoryError as error:
            raise self._public.IncompleteRunHistoryError(str(error)) from error
        except RunlakeError as error:
            raise self._wandb.errors.CommError(str(error), error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        state = "on" if self.is_active else "undone"
        names = ", ".join(self._originals)
        return f"<Acceleration of wandb {self._wandb.__version__}: {names} ({state})>"


class _SdkScan(HistoryScan):
    """A scan that raises the SDK's error classes."""

    def __init__(self, scan: HistoryScan, acceleration: Acceleration) -> None:
        super().__init__(scan._reading, scan.page_size)  # noqa: SLF001 - its own base class
        self._acceleration = acceleration

    def __iter__(self) -> Iterator[Row]:
        with self._acceleration._sdk_errors():  # noqa: SLF001 - a class of this module
            yield from super().__iter__()


def _server_of(run: Any) -> tuple[str, str | None]:
    """Return the base URL and the API key of a run of the SDK.

    The SDK has no public names for either. The API key is None if the SDK's run does not have it;
    runlake then takes the key from the settings.
    """
    service = getattr(run, "_service_api", None)
    if service is not None:
        key = getattr(run, "_api_key", None) or getattr(service, "api_key", None)
        return service.base_url, key
    # Up to 0.24 the SDK's Python code sends its requests itself, with `requests`.
    transport = run.client._client.transport  # noqa: SLF001
    auth = transport.session.auth
    key = auth[1] if isinstance(auth, tuple) else getattr(auth, "password", None)
    return transport.url.removesuffix("/graphql"), key


_active: Acceleration | None = None


def accelerate(*, quiet: bool = False) -> Acceleration:
    """Make an imported ``wandb`` read history through runlake.

    After this call, ``scan_history``, ``beta_scan_history``, ``history`` and
    ``download_history_exports`` of the SDK's public ``Run`` use runlake's cache and reader, and
    follow runlake's rules: see "Where runlake differs from the SDK on purpose" in the
    documentation.

    Parameters
    ----------
    quiet : bool
        Do not print the line on standard error that says that runlake is active.

    Returns
    -------
    Acceleration
        An object that restores the SDK's methods when ``undo()`` is called, or at the end of a
        ``with`` block. Until then, a second call returns the same object.

    Raises
    ------
    MissingExtra
        If the wandb SDK is not installed.
    """
    global _active  # noqa: PLW0603 - the patched SDK class is global to the process too
    # A second patch would take the methods of the first one for the SDK's own.
    if _active is not None and _active.is_active:
        return _active
    try:
        import wandb
    except ImportError as error:
        raise MissingExtra(
            "wandb is not installed, so there is nothing to accelerate. Install it with "
            "'pip install wandb', or use runlake.Api() directly.",
            extra="demo",
        ) from error
    _active = Acceleration(wandb)
    if not quiet and sys.stderr is not None:
        names = ", ".join(_active._originals)  # noqa: SLF001 - a class of this module
        sys.stderr.write(f"runlake: {names} of wandb.Api() runs now read through runlake.\n")
    return _active
