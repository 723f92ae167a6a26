"""What is on offer for a run, and how its bytes arrive; given paths, so without an idea of a cache.

Read `manifest`, which asks the backend, and `decide`, which compares its offer with what is on
disk. Then `download`: `storage_host` there brings the bytes, and `verify` says whether they are
good, by what `validator` read of the host's promises. `footers` reads what the file states.
`unlisted` finds rows that are neither exported nor listed.
`extent` says whether a part of a file is worth asking for, `offers` gets new URLs; `progress`,
`workers` and `process_identity` serve the downloads.
"""
