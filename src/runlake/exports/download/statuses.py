"""The HTTP statuses that an answer to a request for a range may have (RFC 9110, section 15)."""

from __future__ import annotations

OK = 200
PARTIAL = 206
NOT_MODIFIED = 304
BAD_REQUEST = 400
PRECONDITION_FAILED = 412
UNSATISFIABLE = 416
NOT_IMPLEMENTED = 501
