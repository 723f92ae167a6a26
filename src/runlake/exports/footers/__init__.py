"""What the footer of an export states, and whether it can be believed.

Read `statistics`, which is what planning asks, and `known_columns`, with which it keeps what it
finds; then `steps` and `schema` below them, and `column_chunks`. `soundness` keeps footers from
ending the process, `narrow` cuts them down to some columns, `writers` knows which features every
engine reads; `forms` and `thrift` are below these.
"""
