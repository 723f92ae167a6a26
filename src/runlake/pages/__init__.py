"""What a browser shows of runs: pages over a backend, a cloud project, or runs that were pulled.

To understand this package, begin with `app`, which makes one Starlette application of the modules
below. `source` says where the pages read: with an `Api`, or from a `Lake`. `responses` makes every
answer: pages from the templates, data, and errors. `project` has the pages of a project, `run`
those of a run; `home`, `files`, `artifacts` and `sweeps` have the others. `command` has the
commands, and `mount` adds the pages to the embedded backend; both are found by entry points.
"""
