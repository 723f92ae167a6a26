"""Requests per second, shared by all processes of one user.

Read `rate`, which is pure; then `budget`, which keeps it in a file.
"""
