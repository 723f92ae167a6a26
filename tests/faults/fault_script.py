"""The faults, objects and log of a fault-injecting server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import google_crc32c


@dataclass(frozen=True)
class Fault:
    """The faults of one answer; several fields may be set."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    seconds_before: float = 0.0
    cut_after: int | None = None
    stall_after: int | None = None
    drip: tuple[int, float] | None = None
    promised_length: int | None = None
    gzipped: bool = False
    ignores_range: bool = False
    redirect_to_mirror: bool = False
    before: Callable[[], object] | None = None


@dataclass
class StoredObject:
    """An object of a storage host; ``tells`` are the headers with which it is answered."""

    content: bytes | Path
    tells: frozenset[str] = frozenset({"etag", "date"})
    modified_at: float = 1.7e9

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def __post_init__(self) -> None:
        content = self.content if isinstance(self.content, bytes) else self.content.read_bytes()
        md5 = hashlib.md5(content)
        self.headers = {}
        for kind, etag in (
            ("etag", f'"v-{md5.hexdigest()[:12]}"'),
            ("md5 etag", f'"{md5.hexdigest()}"'),
            ("weak etag", f'W/"{md5.hexdigest()}"'),
        ):
            if kind in self.tells:
                self.headers["ETag"] = etag
        if "date" in self.tells:
            self.headers["Last-Modified"] = formatdate(self.modified_at, usegmt=True)
        if "crc32c" in self.tells:
            crc32c = google_crc32c.value(content).to_bytes(4, "big")
            self.headers["x-goog-hash"] = f"crc32c={_base64(crc32c)},md5={_base64(md5.digest())}"


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    origin: str
    method: str
    path: str
    operation: str | None
    range: str | None
    has_authorization: bool
    status: int
    n_bytes: int


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
