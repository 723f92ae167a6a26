"""What is on disk: the only writer below the cache root."""
