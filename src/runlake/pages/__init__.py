"""Web pages that show the runs of an embedded backend, of a cloud project, or of a lake.

To understand this package, begin with `app`, which combines all pages in one Starlette application.
A `source` reads the data of the pages, with an `Api` or from a `Lake`. `responses` builds most
HTTP responses: pages from templates, data, and errors. `project` has the pages of a project, and
`run` the pages of a run; `home`, `files`, `artifacts`, `sweeps` and `login` have the other pages.
`command` has the commands, and `mount` adds the pages to the embedded backend; both are entry
points.
"""
