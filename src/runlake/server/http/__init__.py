"""What the embedded backend answers beside GraphQL, and the log of all requests.

Read `delivery`, which sends stored objects and ranges of them; then `artifact_routes`, the paths by
which the SDK downloads files of artifacts, and `access_log`.
"""
