"""The command line: a module per topic.

Start with `main`, the command tree and its error handling; then `run` and `cache`, `answer`, which
prints the rows of a query, `output` and `cells`, which print values, `completion`, and `demo`.
"""
