"""A TCP proxy that adds latency without limiting the bandwidth."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK_BYTES = 1 << 16


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Start a proxy to a local port and yield its port; bytes from clients arrive later."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    handle = _Proxy(port, seconds).handle
    starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(handle, "127.0.0.1", 0), loop)
    server = starting.result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Proxy:
    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._carry(reader, up_writer, self._seconds), self._carry(up_reader, writer, 0)
        )

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float
    ) -> None:
        """Forward each chunk after the delay; later chunks are read meanwhile."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def send() -> None:
            while True:
                due, chunk = await waiting.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not chunk:
                    break
                writer.write(chunk)
                await writer.drain()
            writer.close()

        sending = asyncio.create_task(send())
        chunk = b"-"
        with contextlib.suppress(ConnectionError):
            while chunk:
                chunk = await reader.read(CHUNK_BYTES)
                await waiting.put((loop.time() + delay, chunk))
            await sending
