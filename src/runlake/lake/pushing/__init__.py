"""Copy the runs of a lake to a W&B backend.

To understand this package, begin with `push`. `sending` sends one run, `losses` lists what cannot
be sent, and `read_back` reads the run from the backend and compares it with the lake. `artifacts`
sends the artifacts of all runs, with the W&B SDK in a separate process (`sdk`, `sdk_process`), and
`artifacts_read_back` compares the sent artifacts with the lake.
"""
