"""The process that writes exports: ``python -m runlake.server.exports.worker DATA_DIR ROWS DROPS``.

Each line of standard input is a task and the database id of a run: ``export 5`` writes the next
export of the run, and ``compress 5`` compresses the lines of one export. The process answers with a
line: ``more`` if the same task is due again, ``done`` if not, ``failed`` after an error. The
process ends when standard input ends, so it does not outlive a server that was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import pyarrow as pa

from runlake.server.exports.compressor import LineCompressor
from runlake.server.exports.exporter import Exporter
from runlake.server.exports.queue import COMPRESS, DONE, EXPORT, FAILED, MORE
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

LOGGER = logging.getLogger(__name__)
# Lowers the priority of this process below that of the server, which answers requests.
NICENESS = 5
FAILURES = {EXPORT: "exported", COMPRESS: "compressed"}


def main(data_dir: Path, rows: int | None, *, drops: bool) -> None:
    """Do the tasks that standard input lists, and write the answers, until the input ends."""
    # Ctrl-C reaches every process of the terminal; the server ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # More threads would take processors from requests. polars reads this when it is imported.
    os.putenv("POLARS_MAX_THREADS", "1")
    pa.set_cpu_count(1)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(format="%(message)s")
    database = Database(data_dir / "runlake.sqlite")
    storage = Storage(database, data_dir / "storage", "", 0.0)
    tasks = {
        EXPORT: Exporter(database, storage, rows).export_next,
        COMPRESS: LineCompressor(database, storage, drops=drops).compress_next,
    }
    for line in sys.stdin:
        task, run_id = line.split()
        try:
            answer = MORE if tasks[task](int(run_id)) else DONE
        except Exception:
            # The rows are stored and stay live: this must not keep other runs from being exported.
            LOGGER.exception("The rows of run %s could not be %s.", run_id, FAILURES[task])
            answer = FAILED
        try:
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # The server was killed.
            os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) or None, drops=sys.argv[3] == "1")
