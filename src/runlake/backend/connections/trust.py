"""Which certificate authorities a connection trusts."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import httpx

from runlake.errors import SettingsError

# For connections without TLS, which would otherwise read certificates that nobody looks at.
TRUST_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust(ca_bundle: str) -> ssl.SSLContext:
    """Return what trusts some certificate authorities and no others.

    Parameters
    ----------
    ca_bundle : str
        A file in PEM form, or a directory whose files have the names of OpenSSL (``c_rehash``).

    Returns
    -------
    ssl.SSLContext
        It checks names too.

    Raises
    ------
    SettingsError
        If that is no such file.
    """
    try:
        if Path(ca_bundle).is_dir():
            return ssl.create_default_context(capath=ca_bundle)
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:
        raise SettingsError(
            f"{ca_bundle!r} holds no certificate authorities in PEM form ({error.strerror}). "
            "REQUESTS_CA_BUNDLE or SSL_CERT_FILE names it.",
            setting="ca_bundle",
            source=ca_bundle,
        ) from error


@cache
def trust_public(*, http2: bool) -> ssl.SSLContext:
    """Return what trusts the authorities that httpx trusts.

    To read their certificates takes longer than a request: once for all clients of the process.

    Parameters
    ----------
    http2 : bool
        For connections that speak HTTP/2 where the host does.
    """
    context = httpx.create_ssl_context(trust_env=False)
    # A connection writes the protocols that it offers into its context, so both kinds of
    # connections cannot share one.
    context.set_alpn_protocols(["http/1.1", "h2"] if http2 else ["http/1.1"])
    return context
