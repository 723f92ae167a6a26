"""The page of a run: charts, system metrics, values, console, tables, media, and what is new.

Begin with `routes`, which lists the addresses, and `shell`, which makes what all of these pages have
in common. `columns` reads what charts need and keeps it in memory; `curves` makes charts of it, as a
`view` says. `live` follows a run for all pages that show it. The other modules have a page each.
"""
