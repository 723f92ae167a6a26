"""HTTP parts of the embedded backend: files, limits, errors, pages and the log of all requests.

The routes of GraphQL, of the file stream and of stored objects are in `runlake.server.app`.
To understand this package, begin with `delivery`, which sends stored objects and ranges of them.
`artifact_routes` has the paths by which the SDK downloads files of artifacts; `access_log` logs
requests. `connections` limits connections and their time; `intake` limits request bodies, and
`failures` answers requests that fail, for example because the disk is full. `pages` passes requests
for web pages to the package that makes the pages.
"""
