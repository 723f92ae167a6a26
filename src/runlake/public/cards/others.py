"""Build the notebook cards of files, artifacts and scans."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from runlake.notebook.bar import bytes_text
from runlake.notebook.cards import facts_card
from runlake.notebook.markup import Room, link
from runlake.notebook.plan_cards import TABLE_BYTES, scan_card
from runlake.notebook.run_cards import TREE_BYTES
from runlake.notebook.tables import rows_table
from runlake.notebook.trees import tree
from runlake.public.cards.shown import card_of, warnings_as_notes
from runlake.values.counted import counted

if TYPE_CHECKING:
    from runlake.history.reader import Reading
    from runlake.history.runs.stitched import Stitched
    from runlake.public.artifacts.artifacts import Artifact
    from runlake.public.files import Files

MAX_FILES = 50
MAX_ROWS = 10


def show_files(files: Files) -> str:
    """Return the HTML card of a list of files, with up to 50 files.

    With the default page size, this makes at most one request.
    """

    def build() -> str:
        notes: list[str] = []
        with warnings_as_notes(notes):
            if not files.objects:
                notes.append("The first page of the list: one request.")
            shown = list(islice(files, MAX_FILES))
            n_files = len(files)
        rows = [
            (
                file.name,
                bytes_text(file.size),
                str(file._attrs.get("mimetype") or ""),  # noqa: SLF001
                str(file._attrs.get("updatedAt") or ""),  # noqa: SLF001
            )
            for file in shown
        ]
        header = ("name", "size", "type", "updated")
        parts = rows_table(header, rows, Room(TABLE_BYTES), "iterate over the list")
        if n_files > len(shown):
            notes.insert(0, f"{len(shown):,} of the run's {counted(n_files, 'file')}.")
        return facts_card(f"Files of {'/'.join(files.run.path)}", (), parts, notes)

    return card_of(files, build)


def show_artifact(artifact: Artifact) -> str:
    """Return the HTML card of an artifact: fields, and files if the manifest is loaded."""

    def build() -> str:
        attrs: dict[str, Any] = {
            name: getattr(artifact, name, None)
            for name in ("type", "state", "size", "file_count", "created_at", "updated_at")
        }
        size = attrs["size"]
        pairs = [
            ("type", str(attrs["type"] or "")),
            ("state", str(attrs["state"] or "")),
            ("size", bytes_text(size) if isinstance(size, int) else None),
            ("files", f"{attrs['file_count']:,}" if isinstance(attrs["file_count"], int) else None),
            ("aliases", ", ".join(artifact.aliases)),
            ("tags", ", ".join(artifact.tags)),
            ("created", str(attrs["created_at"] or "")),
            ("description", artifact.description),
            ("page", link(artifact.url, artifact.url)),
        ]
        parts: list[Element] = []
        if artifact.metadata:
            room = Room(TREE_BYTES)
            parts.append(tree("metadata", artifact.metadata, room, "artifact.metadata"))
        contents = artifact._contents  # noqa: SLF001 - only if loaded: no request
        if contents is None:
            notes = ["artifact.manifest lists the files."]
        else:
            notes = []
            rows = [
                (name, "" if entry.size is None else bytes_text(entry.size))
                for name, entry in islice(contents.entries.items(), MAX_FILES)
            ]
            table = rows_table(("file", "size"), rows, Room(TABLE_BYTES), "artifact.manifest")
            parts += table
        return facts_card(artifact.qualified_name, pairs, parts, notes)

    return card_of(artifact, build)


def show_scan(scan: object, reading: Reading | Stitched) -> str:
    """Return the HTML card of a scan: keys, steps, and the first rows if they are in the cache."""

    def build() -> str:
        plan = reading.plan
        keys = plan.projection.keys
        plans = [one.plan for one in getattr(reading, "readings", (reading,))]
        exports = [read for one in plans for read in one.exports]
        n_live = sum(one.n_live_steps for one in plans)
        n_rows = sum(read.n_rows for read in exports)
        pairs = [
            (
                "keys",
                "every key" if keys is None else f"{plan.projection.how} of {', '.join(keys)}",
            ),
            ("steps", str(plan.steps)),
            ("rows", f"at most {n_rows:,} in {counted(len(exports), 'export')}"),
            ("live rows", f"{n_live:,}" if n_live else None),
        ]
        notes = ["Iterate over the scan, or call to_polars(), to_pandas() or to_arrow()."]
        rows: list[dict[str, object]] = []
        with warnings_as_notes(notes):
            if not exports or n_live or any(one.is_walk for one in plans):
                notes.append("No rows are shown, because some of them are not in the cache.")
            else:
                rows = list(islice(reading.iter_rows(MAX_ROWS), MAX_ROWS))
        return scan_card(f"Scan of {plan.run}", pairs, rows, notes)

    return card_of(scan, build)
