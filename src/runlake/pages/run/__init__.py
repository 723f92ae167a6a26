"""The pages of a run: charts, system metrics, values, console, tables, media, and live updates.

Begin with `routes`, which lists the addresses, and `shell`, which builds the parts that all of
these pages have in common. `columns` reads the rows that charts need and keeps them in memory;
`curves` draws charts from these rows, with the settings of a `view`. `followers` reads new rows for
all pages that show a run, and `live` sends them. `chart_pages`, `system`, `values`, `console`,
`tables` and `media` answer the requests.
"""
