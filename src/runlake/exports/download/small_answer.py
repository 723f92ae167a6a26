"""Verify in memory a small export, whose whole body arrived in one HTTP response.

Nearly all small exports arrive in this way. For them, the other steps of `StorageHost` (retries,
resuming, encodings, expired URLs) would take as long as the checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from runlake.backend.http.statuses import OK
from runlake.exports.download.whole_download import find_encoding
from runlake.exports.validator import Validator
from runlake.exports.verify import NotAsPromised, Verified, verify_export


def verify_answer(headers: Mapping[str, str], body: bytes) -> Verified | None:
    """Verify the body of a response with the status 200; see `verify_export`.

    Parameters
    ----------
    headers : mapping
        Headers of the response; names are in lower case.
    body : bytes
        The whole body.

    Returns
    -------
    Verified or None
        None if the body is encoded, if it does not have the announced length, or if the
        verification fails.
        Then `StorageHost.whole` has to process the response.
    """
    is_plain = find_encoding(body, headers.get("content-encoding")) is None
    if not is_plain or headers.get("content-length") != str(len(body)):
        return None
    try:
        return verify_export(body, Validator.from_headers(headers, OK))
    except NotAsPromised:
        return None
