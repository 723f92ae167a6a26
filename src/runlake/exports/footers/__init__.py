"""What the footer of an export states, and whether it can be believed.

Read `statistics`, which is what planning asks; then `steps` and `schema` below it, and
`column_chunks`. `soundness` keeps footers from ending the process, `narrow` cuts them down to some
columns, `writers` knows which features every engine reads; `forms` and `thrift` are below these.
"""
