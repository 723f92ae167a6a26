"""Documents and database rows that contain their own CRC32C, to detect later changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import google_crc32c

SEAL = re.compile(rb'(.*),"crc32c":(\d+)\}', re.DOTALL)
Cells = tuple[Any, ...]


class BrokenSeal(ValueError):
    """A document or row is damaged: its CRC32C is wrong or missing."""


def seal_document(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON, with the CRC32C of its text as the last member."""
    body = json.dumps(document, separators=(",", ":")).encode()[:-1]
    return body + b',"crc32c":%d}' % google_crc32c.value(body)


def unseal_document(content: bytes) -> dict[str, Any]:
    """Parse the result of `seal_document`; raise `BrokenSeal` if the text was changed."""
    found = SEAL.fullmatch(content)
    if found is None or google_crc32c.value(found[1]) != int(found[2]):
        raise BrokenSeal("the document is not what was written")
    document: dict[str, Any] = json.loads(content)
    return document


def seal_row(row: Cells) -> Cells:
    """Return the cells of a database row with their CRC32C appended."""
    return (*row, google_crc32c.value(repr(row).encode()))


def unseal_row(row: Cells) -> Cells:
    """Return a row's cells without their CRC32C; raise `BrokenSeal` if a cell was changed."""
    if google_crc32c.value(repr(row[:-1]).encode()) != row[-1]:
        raise BrokenSeal("the row is not what was written")
    return row[:-1]
