"""What lists and their members share.

Read `pages`, lists that are fetched as far as they are looked at, and `in_project`, those of a
project: a list says which document it sends, what an edge of the answer stands for (`_open`), and
which key it has and no other (`_key`). Then `attributes` for fields of the backend as attributes,
`filters`, and `destinations` for where files are put.
"""
