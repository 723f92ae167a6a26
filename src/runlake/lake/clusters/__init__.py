"""Pull, pack and read a lake on the workers of an executor.

`executors` checks an executor of the user, and `tasks` runs tasks on it. With the file of
`task_mark`, a task checks that its process sees the lake, and that its caller still waits. `parts`
divides a scan of a lake into parts that any process can read; `dask_frames` makes a Dask frame from
these parts, and is the only module that imports Dask.
"""
