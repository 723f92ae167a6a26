"""Copy the runs of a lake to a W&B backend.

To understand this package, begin with `push`. `sending` sends one run, `losses` says what a backend
cannot be given, and `read_back` compares what the backend has then with the lake. `artifacts` sends
the artifacts of all runs, with the W&B SDK in a process of its own (`sdk`, `sdk_process`), and
`artifacts_read_back` compares these.
"""
