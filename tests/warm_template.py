"""A Python process that imports modules once; the processes that it forks start without imports.

``python warm_template.py DESCRIPTOR MODULE...`` reads requests from a Unix socket, each with the
descriptors of standard input, output and error, and of a pipe. The new process runs a module,
source or a file, as ``python`` would with these arguments. Its parent writes its id to the pipe,
and how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    # Such as the SDK's for media: each process has its own, and removes it as it ends.
    folders = [one for one in gc.get_objects() if isinstance(one, tempfile.TemporaryDirectory)]
    # The pages of these modules stay shared with the forks: no collection writes to them.
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_BYTES, 4)
        _reap()
        if not message:
            return
        if os.fork() == 0:
            channel.close()
            for folder in folders:
                tempfile.TemporaryDirectory.__init__(folder)
            _start(json.loads(message), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _reap() -> None:
    """Release the processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start(request: dict[str, Any], stdin: int, stdout: int, stderr: int, report: int) -> None:
    process = os.fork()
    if process == 0:
        os.close(report)
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _run(**request)
        return
    # An open pipe would hide that its other end has closed.
    for descriptor in (0, 1, 2, stdin, stdout, stderr):
        os.close(descriptor)
    os.write(report, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    how, *rest = arguments
    sys.argv = arguments
    if how == "-m":
        sys.argv = rest
        sys.path[0] = folder
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        source = rest.pop(0)
        sys.argv = ["-c", *rest]
        sys.path[0] = ""
        script = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(source, "<string>", "exec"), script.__dict__)
    else:
        sys.path[0] = str(Path(how).parent)
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    main()
