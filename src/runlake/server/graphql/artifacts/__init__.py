"""The part of the GraphQL schema that is about artifacts, and the resolvers of its fields.

`schema` is the text of this part. The topics are `versions`, which also has manifests and files,
`collections`, which also has types, aliases and tags, and `edits`.
"""
