"""Read the history of runs: plan what to read, then read it as rows, frames, Arrow or samples.

To understand this package, begin with `opening`, which pulls a run and plans the read, and
`reader`, which returns one run's history in each output format. `plan` decides what to read;
`decode` reads the files; `rows`, `frames` and `sample` make rows, frames and samples; `live`
fetches the rows that are in no export. `mending` recovers from files that cannot be decoded, and
`head_start` decodes the first rows early. `follow` reads a run that is still running, `best` finds
the best value of a key, `curves` samples many keys for small charts, and `logged_value` finds one
value. `tables` reads logged tables, `media` finds media files, `sql` runs SQL over a history, and
`runs` reads many runs at once.
"""
