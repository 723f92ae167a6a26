"""The file system below the cache.

Read `file_state`, what is noted of a file to see that somebody touched it, and `sealed`, what is
written so that a change shows. `mounts` knows network file systems, `links` follows no link that
leads away.
"""
