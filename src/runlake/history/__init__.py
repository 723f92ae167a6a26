"""Reading: a question is opened as a plan, and the plan is read in many forms.

Read `opening`, the way in, and `reader`, which has all outputs of one run. Below them `plan`
decides what to read; `decode` and then `rows`, or `frames`, or `sample` read it; `live` brings the
rows that are in no export. `mending` goes on where a file cannot be decoded. Beside them stand
`follow` for a run under way, `best` for the best value of a key, `tables` for logged tables, and
`runs` for many.
"""
