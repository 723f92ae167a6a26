"""Documents and rows that carry their own CRC32C: one that was changed since is not believed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import google_crc32c

SEAL = re.compile(rb'(.*),"crc32c":(\d+)\}', re.DOTALL)
Cells = tuple[Any, ...]


class BrokenSeal(ValueError):
    """What is on disk is not what was written."""


def seal_document(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON whose last member is the CRC32C of all before it."""
    body = json.dumps(document, separators=(",", ":")).encode()[:-1]
    return body + b',"crc32c":%d}' % google_crc32c.value(body)


def unseal_document(content: bytes) -> dict[str, Any]:
    """Read what `seal_document` wrote, or raise `BrokenSeal`."""
    found = SEAL.fullmatch(content)
    if found is None or google_crc32c.value(found[1]) != int(found[2]):
        raise BrokenSeal("the document is not what was written")
    document: dict[str, Any] = json.loads(content)
    return document


def seal_row(row: Cells) -> Cells:
    """Return the cells of a row of a database, and behind them their CRC32C."""
    return (*row, google_crc32c.value(repr(row).encode()))


def unseal_row(row: Cells) -> Cells:
    """Return the cells that `seal_row` was given, or raise `BrokenSeal`."""
    if google_crc32c.value(repr(row[:-1]).encode()) != row[-1]:
        raise BrokenSeal("the row is not what was written")
    return row[:-1]
