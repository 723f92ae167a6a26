"""The GraphQL schema of the embedded backend, and what answers each of its fields.

Read `schema` for the text of the schema (artifacts: `artifact_schema`), `table` for how a field is
answered, then the topics: `users`, `projects`, `runs`, `history`, `files`, `artifacts`,
`collections`, `artifact_edits`; `execute` answers a request. A new field goes into the text of the
schema and, by `Table.shows` or `Table.resolves`, into the table of its topic. A value is a row of
the database, or a dict that has its fields under their GraphQL names.
"""
