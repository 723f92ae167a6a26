"""Carry one export to one path of its own: revalidated, streamed, checked, flushed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from runlake.backend.client import Client, Reply
from runlake.backend.retry import Transient, retry
from runlake.errors import ExportCorrupt, ExportError, ExportExpired
from runlake.exports.manifest import Export
from runlake.exports.facts import ExportFacts, read_export_facts
from runlake.exports.verify import Digest
from runlake.values import RunPath

EXPIRED = {401, 403, 410}
NOT_MODIFIED = 304
WRITE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Validator:
    """What tells one version of an object from the next (RFC 9110, section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the object only if it changed."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that arrived whole and was checked."""

    validator: Validator
    n_bytes: int
    facts: ExportFacts


class Expired(Exception):
    """The storage host does not honour the URL any more."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def download_export(
    client: Client,
    run: RunPath,
    export: Export,
    destination: Path,
    *,
    held: Validator | None = None,
    renew: Callable[[], Export | None],
    count: Callable[[int], None],
) -> Downloaded | None:
    """Download an export, unless the version that is held is still current.

    Parameters
    ----------
    client : Client
        Carries the request.
    run : RunPath
        Whose export it is; named in errors.
    export : Export
        The file on offer.
    destination : Path
        A file that belongs to this call alone; complete and flushed to disk on success.
    held : Validator, optional
        The version already on disk.
    renew : callable
        Asks the backend for a new URL of the same export, None where it is no longer offered.
    count : callable
        Told the number of bytes of each piece that arrived.

    Returns
    -------
    Downloaded or None
        None if the held version is current; then nothing was written.

    Raises
    ------
    ExportExpired
        If the URL is refused, and a new one too.
    ExportCorrupt
        If the bytes are not the promised Parquet, twice.
    Unreachable
        If the storage host did not answer within the deadline.
    """

    def attempt(offer: Export) -> Downloaded | None:
        return retry(
            lambda: _attempt(client, run, offer, destination, held, count), client.settings
        )

    try:
        return attempt(export)
    except Expired as expired:
        renewed = renew()
        if renewed is None:
            raise _expired(run, export, expired) from None
    try:
        return attempt(renewed)
    except Expired as expired:
        raise _expired(run, renewed, expired) from None


def _attempt(
    client: Client,
    run: RunPath,
    export: Export,
    destination: Path,
    held: Validator | None,
    count: Callable[[int], None],
) -> Downloaded | None:
    with client.open(export.url, held.conditions() if held else {}) as reply:
        if reply.status == NOT_MODIFIED and held:
            return None
        if reply.status in EXPIRED:
            raise Expired(reply.status)
        if reply.status != 200:  # noqa: PLR2004
            raise _refused(run, export, reply)
        digest = _write(run, export, reply, destination, count)
        validator = Validator(reply.headers.get("etag"), reply.headers.get("last-modified"))
    if not digest.agrees:
        raise _corrupt(run, export, "its MD5 is not the promised one")
    try:
        facts = read_export_facts(destination)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(run, export, "it is no Parquet file") from error
    return Downloaded(validator, digest.n_bytes, facts)


def _write(
    run: RunPath, export: Export, reply: Reply, destination: Path, count: Callable[[int], None]
) -> Digest:
    digest = Digest(reply.headers)
    with destination.open("wb", buffering=WRITE_BYTES) as file:
        for chunk in reply.iter_bytes():
            file.write(chunk)
            digest.update(chunk)
            count(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    promised = reply.headers.get("content-length")
    is_plain = "content-encoding" not in reply.headers
    if promised and is_plain and int(promised) != digest.n_bytes:
        raise _corrupt(run, export, f"{digest.n_bytes} of {promised} bytes came")
    return digest


def _expired(run: RunPath, export: Export, expired: Expired) -> ExportExpired:
    return ExportExpired(
        f"Export {_name(export)} of '{run}' is no longer offered by {export.host!r} "
        f"(HTTP {expired.status}). Scan again for a new offer.",
        run=str(run),
        export=export.object,
    )


def _refused(run: RunPath, export: Export, reply: Reply) -> Exception:
    error = ExportError(
        f"{export.host!r} answered HTTP {reply.status} for export {_name(export)} of '{run}'.",
        run=str(run),
        export=export.object,
    )
    if reply.status == 429 or reply.status >= 500:  # noqa: PLR2004
        return Transient(error, retry_after=reply.headers.get("retry-after"))
    return error


def _corrupt(run: RunPath, export: Export, what: str) -> Transient:
    """Broken bodies are often a passing fault of a proxy, hence few more tries."""
    return Transient(
        ExportCorrupt(
            f"Export {_name(export)} of '{run}' came broken from {export.host!r}: {what}. "
            "If it stays so, the backend has to write the export anew.",
            run=str(run),
            export=export.object,
        ),
        is_refusal=True,
    )


def _name(export: Export) -> str:
    return repr(export.object.rsplit("/", 1)[-1])
