"""``make bench-lake``: a lake of packed tables at size, beside bare polars on the same values.

All groups take some minutes, and 8 GB of disk. ``make bench-lake ROWS="fill pack reads"`` measures
only these groups. With ``--folder`` they use the lake that an earlier call left there; when each
group has been measured at the usual sizes, ``docs/benchmarks-lake.md`` is written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, fields
from pathlib import Path

from benchmarks import lake_bucket, lake_sizes, packed, packed_sizes
from benchmarks.packed import Sizes
from benchmarks.report import Line, as_markdown, summary, write_lake_document

Measure = Callable[[Path, Sizes], Iterable[Line]]
# In this order: the first group makes the lake of the next four, and the last of them changes it.
GROUPS: dict[str, Measure] = {
    "fill": packed.fill_lake,
    "pack": packed.packing,
    "reads": packed.reads,
    "bucket": lake_bucket.lines,
    "changes": packed.changes,
    "runs": packed_sizes.many_runs,
    "keys": packed_sizes.many_keys,
    "catalogs": lake_sizes.lines,
    "million": lake_sizes.million,
}


def main() -> None:
    """Measure all groups, or those named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("groups", nargs="*")
    parser.add_argument("--folder", type=Path)
    for one in fields(Sizes):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=int, default=one.default)
    found = parser.parse_args()
    unknown = set(found.groups) - GROUPS.keys()
    if unknown:
        sys.exit(f"There are no groups named {', '.join(sorted(unknown))}; there are: {[*GROUPS]}.")
    sizes = Sizes(**{one.name: getattr(found, one.name) for one in fields(Sizes)})
    if found.folder is not None:
        found.folder.mkdir(parents=True, exist_ok=True)
        measure(found.folder, sizes, found.groups or [*GROUPS])
        return
    with tempfile.TemporaryDirectory(prefix="runlake-bench-") as folder:
        measure(Path(folder), sizes, found.groups or [*GROUPS])


def measure(folder: Path, sizes: Sizes, groups: Iterable[str]) -> None:
    """Measure groups, print their lines, and write the document if there are lines of all."""
    for name in (one for one in GROUPS if one in groups):
        started = time.monotonic()
        lines = list(GROUPS[name](folder, sizes))
        (folder / f"{name}.json").write_text(json.dumps([astuple(one) for one in lines]))
        seconds = time.monotonic() - started
        print(f"{as_markdown(lines)}\n{name}: {seconds:.0f} s\n", flush=True)
    files = [folder / f"{name}.json" for name in GROUPS]
    if not all(file.exists() for file in files):
        return
    every = [Line(*one) for file in files for one in json.loads(file.read_text())]
    if sizes == Sizes():
        write_lake_document(every)
    print(summary(every, []))


if __name__ == "__main__":
    main()
