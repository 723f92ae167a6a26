"""HTML of values for notebooks: cards, trees, tables, small curves, pictures, and progress bars.

Values in, text out: no module here makes a request, reads a file or knows a backend, so every layer
can show its objects. All HTML is self-contained: it loads nothing, and has no scripts.

Read `markup` first: it builds every element, escaped, and limits the size. `cells`, `trees`,
`tables`, `sparkline` and `pictures` are the parts of a card; `cards` puts parts together, and
`run_cards` has the cards of a run and of a list of runs. `bar` is the progress bar.
"""
