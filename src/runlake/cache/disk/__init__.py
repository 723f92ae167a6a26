"""The file system below the cache: its mounts, its links, and what it notes of a file."""
