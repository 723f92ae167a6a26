"""Words in, tables or JSON out; a module per topic.

Read `main` for the commands and what they share; then `run` and `cache`, `answer` for the rows of a
query, `output` and `cells` for how values are printed, `completion`, and `demo`.
"""
