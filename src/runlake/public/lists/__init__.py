"""Base classes and functions shared by lists and by the objects in them.

To understand this package, begin with `pages`, lists that are fetched page by page as they are
accessed, and `in_project`, lists of the objects of a project. A subclass of `Pages` has three
methods: `_fetch` requests a page, `_open` makes an object from a GraphQL edge, and `_key` returns
the unique key of an object. Its property `_what` says in messages what the list contains.
`attributes` shows the backend's fields as attributes, `filters` checks filters, and `destinations`
checks the paths to which files are downloaded.
"""
