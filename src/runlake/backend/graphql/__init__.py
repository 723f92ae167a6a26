"""Send GraphQL requests to a backend, and check the responses.

To understand this package, begin with `query`, which sends every document. The documents are in
`documents`, `artifact_documents` and `artifact_mutations`. `shapes` handles malformed responses.
`lacking`, with `selection` and `parse_document`, adapts documents to servers with an older schema.
`walk` detects endless lists, `features` requests a server's feature flags, `run_files` lists,
uploads and deletes files of runs, and `send_run` creates runs and sends their rows.

To add a field of a run, add its name to ``RUN_LIGHT_FIELDS``, or to ``RUN_LARGE_FIELDS`` if its
value is large. To add a field of something else, such as a sweep, add it to the documents that
should request it. If the field's value is an object or a list, add its name to the sets in
`shapes`. If a response without the field is useless, add the field to ``NEEDED_OF_TYPES`` of
`lacking`; otherwise the field is left out of requests to servers that do not have it. Show the
field to users in `runlake.public`, and serve it in the embedded backend's `runlake.server.graphql`.
"""
