"""The wire: requests, not runs on disk."""
