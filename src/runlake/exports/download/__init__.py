"""Download one export: the whole file, its last bytes, or ranges of it.

To understand this package, begin with `storage_host`, the entry point, which sends the requests of
a download until it is complete. Then read `whole_download`, `tail` and `ranges_download`, the three
kinds of downloads, and `attempt_file`, the file into which bytes are written. `failures` lists what
can be wrong with a response. `small_answer` verifies a small export before it is written.
"""
