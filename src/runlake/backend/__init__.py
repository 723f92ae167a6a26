"""Requests to a backend and its storage hosts; network errors become errors of runlake.

Only this package imports httpx. To understand this package, begin with `graphql`, which has the
requests. `http` sends a request and reads its answer. `connections` has the proxies, certificates
and timeouts.
"""

from runlake.backend.connections.httpx_import import import_httpx

# This must be called before any module of this folder imports httpx.
import_httpx()
