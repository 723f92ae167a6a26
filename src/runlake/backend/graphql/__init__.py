"""What is asked of a backend: the documents, and how their answers are read.

Read `query`, by which every document is sent; then `documents` (`artifact_documents`,
`artifact_mutations`), `shapes` for answers of a wrong shape, and `lacking`, with `selection` and
`parse_document`, for servers that are older than the documents. `walk` ends lists whose pages do
not, `features` asks what a server can do, `run_files` moves files of runs.

A new field of the backend goes into its document: one of a run into ``RUN_LIGHT_FIELDS``, or
``RUN_FIELDS`` where it is large. If it holds an object or a list, its name goes into the sets of
`shapes`; if an answer is of no use without it, into ``NEEDED_OF_TYPES`` of `lacking`: all others
are left out for a server that does not know them. Whoever shows it to users is in `runlake.public`.
The embedded backend learns it in `runlake.server.graphql`.
"""
