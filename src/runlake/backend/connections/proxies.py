"""Choose the proxy for a request according to environment variables."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

from runlake.errors import MissingExtra, SettingsError
from runlake.settings import EnvironmentProxies

SOCKS = {"socks5", "socks5h"}
HOST = re.compile(rb"[0-9A-Za-z._:-]+")
PORTS = {"http": 80, "https": 443}


def find_proxy(url: str, environment: EnvironmentProxies) -> httpx.Proxy | None:
    """Return the proxy for a URL.

    Parameters
    ----------
    url : str
        Absolute http(s) URL.
    environment : EnvironmentProxies
        The proxies that the environment names.

    Returns
    -------
    httpx.Proxy or None
        None if no variable names a proxy for the URL, or ``NO_PROXY`` covers the host.

    Raises
    ------
    SettingsError
        If the variable's value is not the URL of a proxy.
    MissingExtra
        If the proxy is a SOCKS proxy, and the package for SOCKS is not installed.
    """
    parts = urlsplit(url)
    scheme = parts.scheme if parts.scheme in environment.by_scheme else "all"
    named = environment.by_scheme.get(scheme)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    if named is None or is_covered(parts.scheme, host, port, environment.exceptions):
        return None
    variable = f"{scheme.upper()}_PROXY"
    # GNOME's proxy settings export "socks://" without a version.
    text = named.reveal().strip().replace("socks://", "socks5://", 1)
    proxy = _parsed(text)
    if proxy is None:
        raise SettingsError(
            f"{variable} is not the URL of a proxy, such as 'http://proxy.example:3128' or "
            f"'socks5://proxy.example:1080'. Correct it, or add {host!r} to NO_PROXY.",
            setting=variable,
        )
    if proxy.url.scheme in SOCKS and importlib.util.find_spec("socksio") is None:
        raise MissingExtra(
            f"{variable} names a SOCKS proxy, which needs pip install 'runlake[socks]'. Or add "
            f"{host!r} to NO_PROXY.",
            extra="socks",
        )
    return proxy


def _parsed(text: str) -> httpx.Proxy | None:
    """Return the proxy for a URL; None if malformed.

    None is returned instead of httpx's error, because that error quotes the URL's password.
    """
    try:
        proxy = httpx.Proxy(text if "://" in text else f"http://{text}")
    except (httpx.InvalidURL, ValueError):
        return None
    return proxy if HOST.fullmatch(proxy.url.raw_host) else None


def is_covered(scheme: str, host: str, port: int, exceptions: Iterable[str]) -> bool:
    """Return whether ``NO_PROXY`` covers a host.

    Parameters
    ----------
    scheme, host, port : str, str, int
        Parts of the request's URL.
    exceptions : iterable of str
        The entries of ``NO_PROXY``: ``*``; host names, which also cover their subdomains, with or
        without a leading dot or ``*.``; IPv4 and IPv6 addresses and networks. A name or address may
        have a port.

    Examples
    --------
    >>> [is_covered("http", "10.1.2.3", 80, [one]) for one in ("10.0.0.0/8", "10.1.2.3:8080")]
    [True, False]
    """
    name = host.lower().rstrip(".").strip("[]")
    return any(_covers(one.strip().lower(), scheme, name, port) for one in exceptions)


def _covers(exception: str, scheme: str, name: str, port: int) -> bool:
    if exception == "*":
        return True
    only, _, rest = exception.rpartition("://")
    if not rest or only not in {"", "all", scheme}:
        return False
    network = _network(rest)
    if network is None:
        rest, only_port = _without_port(rest)
        if only_port not in {None, port}:
            return False
        network = _network(rest)
    if network is not None:
        address = _network(name)
        return (
            address is not None
            and address.version == network.version
            and (address.network_address in network)
        )
    domain = rest.removeprefix("*").lstrip(".").rstrip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _without_port(text: str) -> tuple[str, int | None]:
    rest, colon, digits = text.rpartition(":")
    if colon and digits.isdecimal() and (":" not in rest or rest.endswith("]")):
        return rest, int(digits)
    return text, None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(
            text[1:-1] if text[:1] + text[-1:] == "[]" else text, strict=False
        )
    except ValueError:
        return None
