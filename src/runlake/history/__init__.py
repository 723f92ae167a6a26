"""Read the history of runs: plan what to read, then read it as rows, frames, Arrow or samples.

To understand this package, begin with `opening`, which pulls a run and plans the read, and
`reader`, which returns one run's history in each output format. `plan` decides what to read;
`decode` reads the files; `rows`, `frames` and `sample` convert the decoded batches to rows, frames
and samples; `live` fetches the rows that are in no export. `mending` recovers from files that
cannot be decoded. Other modules are `follow` for a run that is still running, `best` for the best
value of a key, `tables` for logged tables, and `runs` for reading many runs at once.
"""
