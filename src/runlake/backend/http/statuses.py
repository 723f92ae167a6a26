"""HTTP statuses by name (RFC 9110, section 15; RFC 6585), and which of them are temporary."""

from __future__ import annotations

OK = 200
PARTIAL = 206
NOT_MODIFIED = 304
BAD_REQUEST = 400
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
GONE = 410
PRECONDITION_FAILED = 412
UNSATISFIABLE = 416
UNPROCESSABLE = 422
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
NOT_IMPLEMENTED = 501

REDIRECTS = {301, 302, 303, 307, 308}
# Storage hosts refuse an expired signed URL with one of these.
URL_EXPIRED = {UNAUTHORIZED, FORBIDDEN, GONE}
# Request Timeout, Too Early, Too Many Requests. Every 5xx but Not Implemented is retryable too.
_RETRYABLE = {408, 425, TOO_MANY_REQUESTS}


def is_retryable(status: int) -> bool:
    """Return whether a request that was answered with this status should be sent again."""
    return status in _RETRYABLE or (status >= SERVER_ERROR and status != NOT_IMPLEMENTED)
