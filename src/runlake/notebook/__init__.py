"""HTML of values for notebooks: cards, trees, tables, small curves, pictures, and progress bars.

The modules turn values into text. None of them makes a request, reads a file or knows a backend, so
the classes of every package can use them. All HTML is self-contained: it loads nothing, and runs no
scripts.

Read `markup` first: it builds every element, escapes text, and limits the size. `cells`, `trees`,
`tables`, `sparkline`, `pictures` and `media` build the parts of a card, and `cards` combines parts.
`run_cards` and `plan_cards` build the cards of runs and plans. `bar` is the progress bar.
"""
