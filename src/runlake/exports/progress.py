"""What a download tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Watches the downloads of one pull; its calls never overlap."""

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Begin; the total is None until every file has told its length."""

    def advance(self, n_bytes: int) -> None:
        """Count bytes that arrived."""

    def finish(self) -> None:
        """End, after success and after failure."""


class Silence:
    """A progress that shows nothing."""

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Ignore the beginning."""

    def advance(self, n_bytes: int) -> None:
        """Ignore the bytes."""

    def finish(self) -> None:
        """Ignore the end."""
