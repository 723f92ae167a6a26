"""`login`: set the API key and the host for the rest of the process."""

from __future__ import annotations

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.errors import AuthenticationError, BackendError, UsageError
from runlake.settings import load_settings, remember_login


def login(
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = True,
    referrer: str | None = None,
    prompt: bool = True,
    anonymous: object = None,
) -> bool:
    """Set the API key and the host of every `Api` that this process creates from now on.

    Parameters
    ----------
    key : str, optional
        The API key. If omitted, the key in ``WANDB_API_KEY``, a settings file or netrc is used.
    host : str, optional
        Base URL of the API. Used if neither `Api` nor ``WANDB_BASE_URL`` names a host.
    verify : bool
        Check the key with the backend by one request. In offline mode the key is not checked.
    prompt : bool
        Decides what happens if no key is found: True raises `UsageError`, False returns False.
        runlake never prompts.
    relogin, force, timeout, referrer, anonymous
        Accepted for compatibility and ignored: they control the SDK's prompt.

    Returns
    -------
    bool
        True if a key was found; False if no key was found and ``prompt`` is False.

    Raises
    ------
    AuthenticationError
        If the key cannot be verified; the key is not used.
    UsageError
        If no key is found and ``prompt`` is True.
    SettingsError
        If the key or the host is malformed.

    Notes
    -----
    Nothing is written to netrc or a settings file. A pickled `Api` does not contain the key. The
    process that unpickles the `Api` looks the key up again. If that process finds no key, it must
    call `login` itself.
    """
    del relogin, force, timeout, referrer, anonymous
    settings = load_settings({"base_url": host}, api_key=key)
    if settings.api_key is None:
        if not prompt:
            return False
        raise UsageError(
            f"There is no API key for {settings.base_url}. Call runlake.login(key=...), set "
            "WANDB_API_KEY, or write the key to ~/.netrc with 'wandb login'.",
            setting="api_key",
        )
    if verify and not settings.offline:
        _verify(Client(settings))
    # Only after the check: a wrong key must not replace a right one.
    remember_login(settings.base_url, settings.api_key)
    return True


def _verify(client: Client) -> None:
    cause: BackendError | None = None
    try:
        if query(client, documents.VIEWER, {}).get("viewer") is not None:
            return
    except BackendError as error:
        cause = error
    finally:
        client.close()
    reason = "the backend knows no user for it." if cause is None else str(cause)
    raise AuthenticationError(
        f"The API key could not be verified with {client.origin}: {reason}",
        operation="GetViewer",
        origin=client.origin,
    ) from cause
