"""The command line: a module per topic.

To understand this package, begin with `main`, which has the command tree and handles errors. `run`,
`pull`, `push`, `plot`, `cache`, `lake` and `demo` have the commands. `answer` prints the rows of a
query, `output` and `cells` print values, and `completion` completes command lines.
"""
