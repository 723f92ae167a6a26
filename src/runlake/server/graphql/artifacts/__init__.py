"""The part of the GraphQL schema that is about artifacts, and the resolvers of its fields.

`schema` is the text of this part. `versions` resolves fields of artifacts, manifests and files, and
`collections` resolves fields and mutations of artifact types, collections, aliases and tags.
`edits` has the mutations of artifacts.
"""
