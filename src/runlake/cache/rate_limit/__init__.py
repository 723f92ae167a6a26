"""The limit on requests per second, shared by all processes of one user.

To understand this package, begin with `rate`, the algorithm, which does no I/O; then read `budget`,
which keeps the state of `rate` in a file.
"""
