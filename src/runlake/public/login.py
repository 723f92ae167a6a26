"""Logging in, for the rest of the process."""

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
    """Use an API key and a host for every `Api` that this process makes from now on.

    Parameters
    ----------
    key : str, optional
        The API key; that of ``WANDB_API_KEY``, a settings file or netrc if omitted.
    host : str, optional
        Root of the API. It stands in where neither `Api` nor ``WANDB_BASE_URL`` names one.
    verify : bool
        Ask the backend whether it knows the key: one request, none offline.
    prompt : bool
        False returns False where no key is found. Nobody is asked for one in either case.
    relogin, force, timeout, referrer, anonymous
        Accepted as the SDK accepts them; what they say is about its prompt.

    Returns
    -------
    bool
        True if there is a key.

    Raises
    ------
    AuthenticationError
        If the key cannot be verified; then it is not used.
    UsageError
        If no key is found.
    SettingsError
        If the key or the host cannot be one.

    Notes
    -----
    Nothing is written: neither netrc nor a settings file. A process that unpickles an `Api` looks
    its key up there, and has to log in on its own where it has no other source.
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
    reason = "it shows no user for it" if cause is None else str(cause)
    raise AuthenticationError(
        f"The API key could not be verified with {client.origin}: {reason}",
        operation="GetViewer",
        origin=client.origin,
    ) from cause
