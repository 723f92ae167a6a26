"""Serves pages on the loopback interface of this machine, to one user of the machine."""

from __future__ import annotations

import contextlib
import socket
import webbrowser
from collections.abc import Callable, Sequence

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.errors import InvalidArgument
from runlake.pages.addresses import path_of
from runlake.pages.admission import Admission
from runlake.pages.app import build_pages
from runlake.pages.source import Source

HOST = "127.0.0.1"
# Names of this machine in requests. Requests with other names are refused, because a site can let
# its own name resolve to this machine.
HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


def serve_pages(
    source: Source,
    path: Sequence[str],
    ports: Sequence[int],
    *,
    open_browser: bool,
    has_token: bool = True,
    say: Callable[[str], None],
) -> None:
    """Serve the pages that show the data of a source, until the process is interrupted.

    Parameters
    ----------
    source : Source
        The source of the pages' data.
    path : sequence of str
        The parts of the address of the first page.
    ports : sequence of int
        Ports to try, in order; the first free port is used. Port 0 means any free port.
    open_browser : bool
        Open the first page in a browser.
    has_token : bool
        Show the pages only to visitors who have the address with which ``say`` is called, and not
        to other users of this machine.
    say : callable
        Called with the address of the first page, as soon as the page can be opened.

    Raises
    ------
    InvalidArgument
        If none of the ports can be used.
    """
    with contextlib.closing(_listen(ports)) as listener:
        port = listener.getsockname()[1]
        address = opened = f"http://{HOST}:{port}{path_of(path) or '/'}"
        pages = build_pages(source)
        if has_token:
            pages = admission = Admission(pages, port)
            address, opened = admission.address(address), admission.address_for_once(address)
        config = uvicorn.Config(
            OnLoopback(pages),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            # Without a limit, Ctrl-C would wait for the stream of events of every open page.
            timeout_graceful_shutdown=3,
        )
        # The port already listens: a browser that comes before the server runs waits for it.
        say(address)
        if open_browser:
            webbrowser.open(opened)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


class OnLoopback:
    """Refuses requests whose ``Host`` header does not name this machine.

    Otherwise another site could let its own name resolve to this machine, and its scripts could
    read the pages.

    Parameters
    ----------
    app : ASGIApp
        The pages.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not _is_for_loopback(scope):
            refused = PlainTextResponse("These pages are for this machine only.\n", 421)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_for_loopback(scope: Scope) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return all(host.rpartition(":")[0] in HOSTS or host in HOSTS for host in hosts)


def _listen(ports: Sequence[int]) -> socket.socket:
    last: OSError | None = None
    for port in ports:
        try:
            return socket.create_server((HOST, port), backlog=256)
        except OSError as error:
            last = error
    raise InvalidArgument(
        f"Port {ports[-1]} cannot be used: {last}. Name another, or '--port 0' for a free one."
    ) from last
