"""The pages of a project: its runs as a table, and the curves of many runs in one chart.

To understand this package, begin with `view`: everything that a visitor chooses is in the URL.
`conditions` turns what is typed into filters, `listing` reads the runs, `columns` and `cells` make
the table, and `curves` the charts, in the `colors` of the runs. `compare` and `parallel` show many
runs side by side, and `python_line` how a script gets the same. `routes` has the handlers.
"""
