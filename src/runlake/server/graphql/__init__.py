"""The schema of the embedded backend, and what answers each of its fields.

Read `schema` and `resolvers`; `fields` shows what a resolver found.
"""
