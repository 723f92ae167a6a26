"""The pages of a project: its runs as a table, and the curves of many runs in one chart.

To understand this package, begin with `view`: everything that a visitor chooses is in the URL.
`conditions` converts typed text to filters, and `listing` reads the runs. `table` builds the page,
with `columns` and `cells`; `curves` draws the charts, with the `colors` of the runs. `compare` and
`parallel` show many runs side by side, and `python_line` shows how a script reads the same data.
`routes` has the handlers of requests.
"""
