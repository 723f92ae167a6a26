"""The settings of a client, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runlake.settings.api_keys import find_api_key
from runlake.settings.secret import Secret

MAX_WORKERS, MAX_DOWNLOADS, PACK_RUNS = 16, 64, 1_000  # defaults


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a client, from every source.

    Parameters
    ----------
    base_url, app_url : str
        URLs of the API and of the web pages, without a trailing slash.
    cache_dir : Path
        Root of the cache, ``$WANDB_CACHE_DIR/runlake``.
    api_key : Secret or None
        Never pickled; when the settings are unpickled, the key is looked up again.
    entity, project : str or None
        Defaults for paths without an entity or a project.
    timeout : float
        Seconds without progress after which a request fails (``WANDB_HTTP_TIMEOUT``). A response of
        the API may take four times as long in all, and a download that makes progress any time.
    retry_timeout : float
        Seconds after which a failing request is no longer retried (``RUNLAKE_RETRY_TIMEOUT``).
    lock_timeout : float
        Seconds to wait while another process pulls the same run, or for a turn to send a request
        under the shared rate limit (``RUNLAKE_LOCK_TIMEOUT``).
    max_workers : int
        Maximum number of requests at the same time (``RUNLAKE_MAX_WORKERS``). Short downloads have
        their own maximum, see `max_downloads`.
    ca_bundle : str or None
        PEM file, or directory with OpenSSL's hashed names, of the certificate authorities to trust
        (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``).
    verify_ssl : bool
        Check certificates; False if ``WANDB_INSECURE_DISABLE_SSL`` is set to true.
    progress : bool
        Show progress bars; False if ``RUNLAKE_PROGRESS=0`` is set.
    offline : bool
        Send no request (``RUNLAKE_OFFLINE``).
    locking : {"auto", "flock", "soft"}
        Kind of lock for processes that share the cache (``RUNLAKE_LOCKING``).
    cache_max_bytes : int or None
        Size above which the least recently used runs are evicted (``RUNLAKE_CACHE_MAX_BYTES``).
    requests_per_second : float or None
        Limit for all processes together that use this API key and this cache
        (``RUNLAKE_REQUESTS_PER_SECOND``). If None, only the backend's own limit applies.
    max_bandwidth : int or None
        Bytes per second for all downloads of this process (``RUNLAKE_MAX_BANDWIDTH``).
    pack_runs : int
        A pull packs the lake if at least this number of runs were pulled since the last pack; 0
        means never (``RUNLAKE_PACK_RUNS``).
    artifact_dir : Path
        Default directory for downloaded artifacts (``WANDB_ARTIFACT_DIR``). A relative path is
        relative to the working directory at the time of the download.
    proxies : bool
        Use the proxies that the environment names.
    """

    base_url: str
    app_url: str
    cache_dir: Path
    # Not compared, because two `Secret` objects with the same text are not equal.
    api_key: Secret | None = field(default=None, compare=False)
    entity: str | None = None
    project: str | None = None
    timeout: float = 30.0
    retry_timeout: float = 60.0
    lock_timeout: float = 3600.0
    max_workers: int = MAX_WORKERS
    ca_bundle: str | None = None
    verify_ssl: bool = True
    progress: bool = True
    offline: bool = False
    locking: str = "auto"
    cache_max_bytes: int | None = None
    requests_per_second: float | None = None
    max_bandwidth: int | None = None
    pack_runs: int = PACK_RUNS
    artifact_dir: Path = Path("artifacts")
    proxies: bool = True

    @property
    def max_downloads(self) -> int:
        """Maximum number of simultaneous short downloads from a distant host.

        By default, this is more than `max_workers`. If `max_workers` is not the default, both are
        equal.
        """
        return MAX_DOWNLOADS if self.max_workers == MAX_WORKERS else self.max_workers

    def __getitem__(self, name: str) -> Any:
        """Return a setting by name.

        Scripts written for wandb use this, because ``Api.settings`` of wandb is a dict.
        """
        if name not in self.__slots__:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting by name, or the default if no setting has that name."""
        return getattr(self, name) if name in self.__slots__ else default

    def keys(self) -> list[str]:
        """Return the names of all settings except the API key."""
        return [name for name in self.__slots__ if name != "api_key"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.__slots__

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        # A pickle may end up in a file or a queue that other people can read.
        state["api_key"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["api_key"] = find_api_key(state["base_url"])
        for name, value in state.items():
            object.__setattr__(self, name, value)
