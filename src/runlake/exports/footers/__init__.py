"""What the footer of an export tells: its facts, and whether they can be believed.

Read `facts`; then `soundness`, which keeps footers from ending the process, `narrow`, which cuts
them down to some columns, and `forms` and `thrift` below both.
"""
