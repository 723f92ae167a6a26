"""Pages served from a thread of the test's process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from tests.server_process import wait_until

from runlake.pages.app import build_pages
from runlake.pages.source import Source


@contextlib.contextmanager
def served(source: Source) -> Iterator[str]:
    """Serve the pages of a source; yield their address."""
    config = uvicorn.Config(
        build_pages(source), port=0, log_level="error", timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
