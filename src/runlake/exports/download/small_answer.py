"""Verify, in memory, the answer to a request for a small export whose body arrived whole.

Nearly all bodies of small exports arrive whole. For these, the other steps of `StorageHost`
(retries, resuming, encodings, expired URLs) would take as long as the checks.
"""

from __future__ import annotations

from collections.abc import Mapping

from runlake.backend.http.statuses import OK
from runlake.exports.download.whole_download import find_encoding
from runlake.exports.validator import Validator
from runlake.exports.verify import NotAsPromised, Verified, verify_export


def verify_answer(headers: Mapping[str, str], body: bytes) -> Verified | None:
    """Verify an answer with the status 200.

    Parameters
    ----------
    headers : mapping
        Headers of the answer; names are in lower case.
    body : bytes
        The whole body.

    Returns
    -------
    Verified or None
        None for an answer that `StorageHost.whole` has to process: one that is encoded, announces
        no length, or is not the promised export.
    """
    is_plain = find_encoding(body, headers.get("content-encoding")) is None
    if not is_plain or headers.get("content-length") != str(len(body)):
        return None
    try:
        return verify_export(body, Validator.from_headers(headers, OK))
    except NotAsPromised:
        return None
