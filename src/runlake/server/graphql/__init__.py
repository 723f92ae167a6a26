"""The GraphQL schema of the embedded backend, and the resolvers of its fields.

To understand this package, begin with `schema`, the text of the schema, and `table`, which connects
fields to resolvers. The topics are `users`, `projects`, `runs`, `history` and `files`; the topics
of artifacts are in the package `artifacts`. `execute` answers a request; `document` parses the
query, and `budget` limits the time of the request and the size of the response. To add a field, add
it to the text of the schema and, with `Table.shows` or `Table.resolves`, to the table of its topic.
A GraphQL value is a database row, or a dict whose keys are the GraphQL field names.
"""
