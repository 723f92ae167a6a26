"""The page of a run: charts, system metrics, values, console, tables, media, and what is new.

Begin with `routes`, which lists the addresses, and `shell`, which makes what all of these pages
have in common. `columns` reads what charts need and keeps it in memory; `curves` makes charts of
it, as a `view` says. `followers` reads new rows for all pages that show a run, and `live` sends
them. `chart_pages`, `system`, `values`, `console`, `tables` and `media` answer the requests.
"""
