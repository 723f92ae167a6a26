"""The connections of a process: a pool for each proxy, and separate pools for files."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import weakref
from collections.abc import Generator, Mapping
from typing import Any

import httpx

from runlake.backend.connections.network import Transport
from runlake.backend.connections.proxies import find_proxy
from runlake.backend.connections.trust import TRUST_NOBODY, trust, trust_public
from runlake.backend.connections.urls import basic_auth, origin_of
from runlake.settings import EnvironmentProxies, Secret, Settings, find_proxies


class Connections:
    """Opens connections when requests need them; a forked child process opens its own.

    Parameters
    ----------
    settings : Settings
        Source of the timeout, the number of workers and the certificates.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: _Pools | None = None
        self._lock = threading.Lock()

    def pool(self, url: str, *, is_bulk: bool = False) -> httpx.Client:
        """Return the pool of connections for a URL.

        Small requests and the bodies of files have separate pools. Files use HTTP/1.1 with one
        connection per worker: over HTTP/2, all downloads from a host would share one connection and
        its flow control.

        Parameters
        ----------
        url : str
            Absolute http(s) URL.
        is_bulk : bool
            True for the URL of a file.

        Returns
        -------
        httpx.Client
            A pool that uses the proxy that the environment names for the host.

        Raises
        ------
        SettingsError, MissingExtra
            If the proxy, or the file of certificates, cannot be used.
        """
        return self._pool(url, is_bulk=is_bulk)

    def transport(self, url: str) -> Transport:
        """Return the `Transport` of the pool for the URL of a file; for errors see `pool`."""
        return self._pool(url, is_bulk=True).transport

    def _pool(self, url: str, *, is_bulk: bool) -> _Pool:
        with self._lock:
            if self._open is None or self._open.pid != os.getpid():
                none = EnvironmentProxies({})
                self._open = _Pools(find_proxies() if self._settings.proxies else none)
                # A __del__ would not do: a forked child must not close sockets of its parent.
                weakref.finalize(self, _close, self._open.pools, os.getpid())
            found = self._open
            route = (is_bulk, origin_of(url))
            if route not in found.routes:
                proxy = find_proxy(url, found.proxies)
                is_tls = url.startswith("https:")
                # A hash, so that the key of the dict does not show the proxy's password.
                named = None if proxy is None else hash((str(proxy.url), proxy.raw_auth))
                way = (is_bulk, is_tls, named)
                if way not in found.pools:
                    found.pools[way] = self._connect(proxy, is_bulk=is_bulk, is_tls=is_tls)
                found.routes[route] = found.pools[way]
            return found.routes[route]

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            if self._open:
                _close(self._open.pools, self._open.pid)
            self._open = None

    def _connect(self, proxy: httpx.Proxy | None, *, is_bulk: bool, is_tls: bool) -> _Pool:
        for name in ("httpcore.http11", "httpcore.http2"):
            logging.getLogger(name).addFilter(_is_no_redirect)
        settings = self._settings
        verify: ssl.SSLContext | bool = False
        if settings.verify_ssl and not is_tls:
            verify = TRUST_NOBODY
        elif settings.verify_ssl and settings.ca_bundle:
            verify = trust(settings.ca_bundle)
        elif settings.verify_ssl:
            verify = trust_public(http2=not is_bulk)
        transport = Transport(
            verify=verify,
            proxy=proxy,
            http2=not is_bulk,
            max_connections=None if is_bulk else settings.max_workers * 2,
            seconds=settings.timeout,
        )
        return _Pool(transport)


class KeyAuth(httpx.Auth):
    """Adds the API key to requests; until then, the key is inside a `Secret`, which hides it.

    Parameters
    ----------
    key : Secret
        The API key.
    """

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with the header ``Authorization``."""
        request.headers["Authorization"] = self.header().decode("ascii")
        yield request

    def header(self) -> bytes:
        """Return the value of the header ``Authorization``."""
        return basic_auth("api", self._key.reveal())


class _Pool(httpx.Client):
    def __init__(self, transport: Transport) -> None:
        super().__init__(transport=transport, trust_env=False, follow_redirects=False)
        self.transport = transport


class _Pools:
    def __init__(self, proxies: EnvironmentProxies) -> None:
        self.pid = os.getpid()
        self.proxies = proxies
        self.pools: dict[tuple[bool, bool, int | None], _Pool] = {}
        self.routes: dict[tuple[bool, str], _Pool] = {}


def _close(pools: Mapping[Any, httpx.Client], pid: int) -> None:
    if os.getpid() == pid:
        for pool in pools.values():
            pool.close()


def _is_no_redirect(record: logging.LogRecord) -> bool:
    """Return False for a log record of httpcore that shows the target of a redirect, else True.

    The target may be a signed URL, which must not be logged.
    """
    return "location'" not in record.getMessage().lower()
