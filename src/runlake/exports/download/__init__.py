"""How the bytes of one export arrive: whole, its last bytes, or ranges of it.

Read `storage_host`, which is asked; then `whole_download`, `tail` and `ranges_download`, one for
each kind of request, and `attempt_file`, which they write. `failures` says what an answer can
lack.
"""
