"""Pull, pack and read a lake on the workers of an executor.

`executors` checks an executor of the user, and `tasks` runs tasks on it. `task_mark` creates a file
in the lake. A task that finds this file knows that its process sees the lake, and that its caller
still waits. `parts` divides a scan of a lake into parts that any process can read; `dask_frames`
makes a Dask frame from these parts, and is the only module that imports Dask.
"""
