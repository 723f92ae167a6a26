"""Pull, pack and read a lake on the workers of an executor.

`executors` accepts an executor of the user, `tasks` runs tasks on it, and `task_mark` connects them
with the process that waits for them. `parts` divides a scan of a lake into parts that any process
can read; `dask_frames` makes a Dask frame from these parts, and is the only module that imports
Dask.
"""
