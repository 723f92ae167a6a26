"""Download one export: the whole file, its last bytes, or ranges of it.

Read `storage_host`, the entry point; then `whole_download`, `tail` and `ranges_download`, one for
each kind of request, and `attempt_file`, which they write. `failures` lists what can be wrong with
an answer.
"""
