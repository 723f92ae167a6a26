"""The files of an export, and the journal that lists the complete ones."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runlake.errors import InvalidArgument

JOURNAL = "_runlake_export.jsonl"
TEMPORARY = ".runlake-part"


@dataclass(frozen=True, slots=True)
class Copied:
    """A complete file of an export, with the rows of one run.

    Parameters
    ----------
    run : str
        The name of the run in the column ``run_id``.
    identity : str
        Digest of everything that determines the content of the file.
    file : str
        Path of the file relative to the export, with slashes.
    """

    run: str
    identity: str
    file: str


class Copies:
    """The files of an export in a directory, and the journal that lists the complete ones.

    Parameters
    ----------
    root : Path
        Directory of the export.
    copied : mapping of str to Copied
        The complete files. The keys are the runs' names in the column ``run_id``.
    """

    def __init__(self, root: Path, copied: Mapping[str, Copied]) -> None:
        self.root = root
        self._copied = dict(copied)

    @classmethod
    def open(cls, root: Path, options: Mapping[str, Any]) -> Copies:
        """Begin an export, or continue an earlier export that has the same options.

        Raises
        ------
        InvalidArgument
            If the directory has files that no export wrote, or has an export with other options.
        """
        journal = root / JOURNAL
        if root.exists() and not root.is_dir():
            raise InvalidArgument(f"{str(root)!r} is a file. Name a directory for the export.")
        if not journal.exists():
            if root.exists() and any(root.iterdir()):
                raise InvalidArgument(
                    f"{str(root)!r} has files that no export wrote. Name a new directory."
                )
            root.mkdir(parents=True, exist_ok=True)
            journal.write_text(json.dumps({"options": options}) + "\n")
            return cls(root, {})
        known, copied = read_journal(journal.read_text(errors="replace"))
        # As JSON has them: a tuple is a list there.
        if known != json.loads(json.dumps(options)):
            raise InvalidArgument(
                f"{str(root)!r} has an export with other options. Name a new directory, or delete "
                "this one."
            )
        for leftover in root.rglob(f"*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        return cls(root, copied)

    @property
    def n_files(self) -> int:
        """Number of complete files with rows, one file per run."""
        return len(self._copied)

    @property
    def n_bytes(self) -> int:
        """Total size in bytes of the complete files with rows."""
        return sum((self.root / one.file).stat().st_size for one in self._copied.values())

    @property
    def files(self) -> list[Path]:
        """The paths of the complete files with rows, one file per run."""
        return [self.root / one.file for one in self._copied.values()]

    def has(self, run: str, identity: str) -> bool:
        """Return whether the file of a run is complete and up to date."""
        known = self._copied.get(run)
        return (
            known is not None and known.identity == identity and (self.root / known.file).is_file()
        )

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path; when the context ends, rename the written file to ``name``.

        After an error, the temporary file is deleted instead.
        """
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
        try:
            yield temporary
            # The journal will call the file complete, so its bytes must be on the disk first.
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)

    def note(self, copied: Copied) -> None:
        """Record in the journal that the file of a run is complete.

        If the run had a file under another path before, that file is deleted.
        """
        former = self._copied.get(copied.run)
        # A run moves to another folder when a value changes by which the export is divided.
        if former is not None and former.file != copied.file:
            (self.root / former.file).unlink(missing_ok=True)
        self._copied[copied.run] = copied
        with (self.root / JOURNAL).open("a") as journal:
            # On a line of its own, whatever the last line of a killed process looks like.
            journal.write("\n" + json.dumps(asdict(copied)) + "\n")

    def drop_others(self, runs: Collection[str]) -> None:
        """Delete the files of all runs except ``runs``."""
        for run in self._copied.keys() - set(runs):
            (self.root / self._copied.pop(run).file).unlink(missing_ok=True)

    def finish(self) -> None:
        """Do nothing at the end of an export, because `note` has recorded each complete file."""


def read_journal(text: str) -> tuple[Any, dict[str, Copied]]:
    """Return the options and the complete files, by run, that a journal lists."""
    head, *lines = text.split("\n")
    copied = {}
    for line in lines:
        # The last line may be cut off: then its run is copied again.
        with suppress(TypeError):
            one = Copied(**_parsed(line))
            copied[one.run] = one
    return _parsed(head).get("options"), copied


def _parsed(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
