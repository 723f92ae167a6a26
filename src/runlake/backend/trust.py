"""Which certificate authorities a connection trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

from runlake.errors import SettingsError


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
