"""Send requests to a backend and its storage hosts; convert network errors to runlake's errors.

Only this package imports httpx. To understand this package, begin with `graphql`, which defines the
requests. `http` sends each request and reads the response. `connections` opens the connections,
with proxies, certificates and timeouts.
"""

from runlake.backend.connections.httpx_import import import_httpx

# This comes before any other import of httpx, because the first import decides which optional parts
# of httpx are loaded.
import_httpx()
