"""What keeps a cache sound and within its bounds: checked, pruned, tidied.

Read `check` and `prune`; `evict` carries out what `prune` decides, `tree` finds the runs on disk,
`dead_attempts` finds what others left, `uncommon` notes files that one engine cannot decode.
"""
