"""Base classes and functions shared by lists and by the objects in them.

Start with `pages`, lists that are fetched page by page as they are accessed, and `in_project`,
lists of a project's objects. A subclass sends the document (`_fetch`), makes an object from an edge
of the answer (`_open`), and gives its unique key (`_key`). Then `attributes` for the backend's
fields as attributes, `filters`, and `destinations` for the paths that files are downloaded to.
"""
