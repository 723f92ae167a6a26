"""Write the files of an export on this machine, and upload them one by one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runlake.errors import InvalidArgument
from runlake.lake.bucket import Bucket
from runlake.lake.copies.copied_files import JOURNAL, Copied, read_journal

# Objects cannot be appended to, so the journal is uploaded again now and then.
FILES_PER_JOURNAL = 50


class BucketCopies:
    """The files of an export in object storage, with the methods of `Copies`.

    Parameters
    ----------
    bucket : Bucket
        The place of the export.
    options : mapping
        The options of the export, as JSON values.
    copied : mapping of str to Copied
        The complete files. The keys are the runs' names in the column ``run_id``.
    """

    def __init__(
        self, bucket: Bucket, options: Mapping[str, Any], copied: Mapping[str, Copied]
    ) -> None:
        self._bucket = bucket
        self._options = options
        self._copied = dict(copied)
        # The journal may name objects that were deleted meanwhile.
        self._sizes = {one.name: one.n_bytes for one in bucket.list()}
        self._n_unsaved = 0

    @classmethod
    def open(cls, bucket: Bucket, options: Mapping[str, Any]) -> BucketCopies:
        """Begin an export, or continue an earlier export that has the same options.

        Raises
        ------
        InvalidArgument
            If the place in object storage has objects that no export wrote, or has an export with
            other options.
        """
        found = bucket.read(JOURNAL)
        if found is None:
            copies = cls(bucket, options, {})
            if copies._sizes:
                raise InvalidArgument(
                    f"{bucket.url!r} has files that no export wrote. Name a new place."
                )
            # The journal comes first: without it, the files of an interrupted export would look
            # foreign.
            copies.finish()
            return copies
        known, copied = read_journal(found[0].decode(errors="replace"))
        # As JSON has them: a tuple is a list there.
        if known != json.loads(json.dumps(options)):
            raise InvalidArgument(
                f"{bucket.url!r} has an export with other options. Name a new place, or delete "
                "this one."
            )
        return cls(bucket, options, copied)

    @property
    def n_files(self) -> int:
        """Number of complete files with rows, one file per run."""
        return len(self._copied)

    @property
    def n_bytes(self) -> int:
        """Total size in bytes of the complete files with rows."""
        return sum(self._sizes.get(one.file, 0) for one in self._copied.values())

    def has(self, run: str, identity: str) -> bool:
        """Return whether the file of a run is complete and up to date."""
        known = self._copied.get(run)
        return known is not None and known.identity == identity and known.file in self._sizes

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path on this machine; when the context ends, upload the file written there.

        After an error, nothing is uploaded.
        """
        with tempfile.TemporaryDirectory(prefix="runlake-") as directory:
            file = Path(directory) / "file"
            yield file
            # Not in a `finally` block: after an error, the file is incomplete.
            self._bucket.write(name, file)
            self._sizes[name] = file.stat().st_size

    def note(self, copied: Copied) -> None:
        """Record that the file of a run is complete.

        If the run had a file with another name before, that file is deleted.
        """
        former = self._copied.get(copied.run)
        # A run moves to another folder when a value changes by which the export is divided.
        if former is not None and former.file != copied.file:
            self._bucket.delete([former.file])
        self._copied[copied.run] = copied
        self._n_unsaved += 1
        if self._n_unsaved >= FILES_PER_JOURNAL:
            self.finish()

    def drop_others(self, runs: Collection[str]) -> None:
        """Delete the files of all runs except ``runs``."""
        gone = [self._copied.pop(run).file for run in self._copied.keys() - set(runs)]
        self._bucket.delete(gone)

    def finish(self) -> None:
        """Upload the journal, which lists the options and all complete files."""
        lines = [json.dumps({"options": self._options})]
        lines += [json.dumps(asdict(one)) for one in self._copied.values()]
        self._bucket.write(JOURNAL, "\n".join([*lines, ""]).encode())
        self._n_unsaved = 0
