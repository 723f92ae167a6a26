"""Many runs at once.

Read `open`; then `scan` and `same_schema` for their rows, `samples` and `run_table`.
"""
