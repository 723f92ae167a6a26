"""Requests to a backend and its storage hosts; network errors become errors of runlake.

Only this package imports httpx. Read `graphql` for the requests, `http` for how a request is sent
and its answer is read, and `connections` for proxies, certificates and timeouts.
"""

from runlake.backend.connections.httpx_import import import_httpx

# Before any module of this folder imports httpx.
import_httpx()
