"""The limit on requests per second, shared by all processes of one user.

Read `rate`, the pure algorithm; then `budget`, which keeps its state in a file.
"""
