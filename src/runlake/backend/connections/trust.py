"""Choose the certificate authorities that a connection trusts."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import httpx

from runlake.errors import SettingsError

# Used for connections without TLS, so that no certificates are read that are never used.
TRUST_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust(ca_bundle: str) -> ssl.SSLContext:
    """Return a TLS context that trusts only the given certificate authorities.

    Parameters
    ----------
    ca_bundle : str
        PEM file, or a directory whose files have OpenSSL's hashed names (``c_rehash``).

    Returns
    -------
    ssl.SSLContext
        The context also checks host names.

    Raises
    ------
    SettingsError
        If the path is not such a file or directory.
    """
    try:
        if Path(ca_bundle).is_dir():
            return ssl.create_default_context(capath=ca_bundle)
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:
        raise SettingsError(
            f"{ca_bundle!r} contains no certificate authorities in PEM form ({error.strerror}). "
            "Correct REQUESTS_CA_BUNDLE or SSL_CERT_FILE, which names it.",
            setting="ca_bundle",
            source=ca_bundle,
        ) from error


@cache
def trust_public(*, http2: bool) -> ssl.SSLContext:
    """Return a TLS context that trusts httpx's default certificate authorities.

    Cached for the process, because reading the certificates takes longer than a request.

    Parameters
    ----------
    http2 : bool
        Offer HTTP/2 to the host.
    """
    context = httpx.create_ssl_context(trust_env=False)
    # httpcore writes the offered protocols into the context with each connection, so connections
    # with and without HTTP/2 must not share one.
    context.set_alpn_protocols(["http/1.1", "h2"] if http2 else ["http/1.1"])
    return context
