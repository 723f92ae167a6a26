"""The process that writes exports: ``python -m runlake.server.exports.worker DATA_DIR ROWS``.

Each line of its input is the number of a run. The process writes the next export of that run, and
answers with a line: ``more`` if another export of the run is due, ``done`` if not, ``failed`` after
an error. At the end of its input the process ends, so it does not outlive a server that was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import pyarrow as pa

from runlake.server.exports.exporter import Exporter
from runlake.server.exports.queue import DONE, FAILED, MORE
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

LOGGER = logging.getLogger(__name__)


def main(data_dir: Path, rows: int | None) -> None:
    """Write exports until the input ends."""
    # Ctrl-C reaches every process of the terminal; the server ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # More threads would take processors from requests. polars reads this when it is imported.
    os.putenv("POLARS_MAX_THREADS", "1")
    pa.set_cpu_count(1)
    logging.basicConfig(format="%(message)s")
    database = Database(data_dir / "runlake.sqlite")
    exporter = Exporter(database, Storage(database, data_dir / "storage", "", 0.0), rows)
    for line in sys.stdin:
        try:
            answer = MORE if exporter.export_next(int(line)) else DONE
        except Exception:
            # The rows are stored and stay live: this must not keep other runs from being exported.
            LOGGER.exception("The rows of run %s could not be exported.", line.strip())
            answer = FAILED
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) or None)
