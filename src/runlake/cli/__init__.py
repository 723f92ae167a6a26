"""The command line: a module per topic.

To understand this package, begin with `main`, the command tree and its error handling. `run`,
`cache` and `demo` have the commands. `answer` prints the rows of a query, `output` and `cells`
print values, and `completion` completes command lines.
"""
