"""Writes a ``.wandb`` file with the records that the SDK writes, in less time than the SDK."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.wandb_files import BLOCK, START, parts


def write_run(file: Path, entity: str, run_id: str, n_bytes: int) -> int:
    """Write a finished offline run of four numbers per step; return its number of rows.

    Parameters
    ----------
    file : Path
        The file, whose directory is created.
    entity, run_id : str
        Names of the run, in project ``local``.
    n_bytes : int
        Length of the file; the last record ends after it.
    """
    messages = import_module("wandb.proto.wandb_internal_pb2")
    head = messages.Record()
    head.run.run_id, head.run.project, head.run.entity = run_id, "local", entity
    head.run.start_time.seconds = 1_700_000_000
    file.parent.mkdir(parents=True)
    n_rows = 0
    at = len(START)
    with file.open("wb") as out:
        out.write(START)

        def write(record: Any) -> None:
            nonlocal at
            content = b"".join(parts(record.SerializeToString(), at % BLOCK))
            out.write(content)
            at += len(content)

        write(head)
        while at < n_bytes:
            row = {
                "loss": 1 / (n_rows + 1),
                "acc": n_rows % 997 / 1000,
                "lr": 0.1,
                "epoch": n_rows // 1000,
                "_timestamp": 1.7e9 + n_rows / 10,
                "_runtime": n_rows / 10,
                "_step": n_rows,
            }
            summary, history = messages.Record(), messages.Record()
            for key, value in row.items():
                text = json.dumps(value)
                summary.summary.update.add(nested_key=[key], value_json=text)
                history.history.item.add(nested_key=[key], value_json=text)
            # The SDK writes the summary of a row before the row.
            write(summary)
            write(history)
            n_rows += 1
        write(messages.Record(exit=messages.RunExitRecord(exit_code=0)))
    return n_rows
