"""The part of the GraphQL schema that is about artifacts, and the resolvers of its fields.

`schema` is the text of this part. `versions` resolves fields of artifacts, manifests and files.
`collections` resolves fields of artifact types, collections, aliases and tags, and mutations of
collections and their tags. `edits` has the mutations of artifacts and their aliases.
"""
