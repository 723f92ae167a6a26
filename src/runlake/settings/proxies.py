"""Find the proxies that the environment names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runlake.settings.secret import Secret


@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """The proxies that the environment names.

    Parameters
    ----------
    by_scheme : mapping of str to Secret
        URLs of the proxies for ``http``, ``https`` and ``all``; a URL may contain a password.
    exceptions : tuple of str
        The entries of ``NO_PROXY``.
    """

    by_scheme: Mapping[str, Secret]
    exceptions: tuple[str, ...] = ()


def find_proxies() -> EnvironmentProxies:
    """Look up the proxies in environment variables, else in the settings of macOS or Windows.

    Returns
    -------
    EnvironmentProxies
        The proxies. Their URLs are not checked here, because a wrong URL matters only when a
        request needs the proxy.
    """
    from urllib.request import getproxies

    found = {name: Secret(text) for name, text in getproxies().items()}
    # urllib returns NO_PROXY as if it were the proxy of a scheme "no".
    exceptions = found.pop("no", Secret("")).reveal().replace(",", " ").split()
    by_scheme = {name: url for name, url in found.items() if name in {"http", "https", "all"}}
    return EnvironmentProxies(by_scheme, tuple(exceptions))
