"""Start a server and run it until it is stopped."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import uvicorn

from runlake.server.app import Backend, build_app, open_backend
from runlake.server.artifacts.artifacts import REGIONS
from runlake.server.background import once, repeated
from runlake.server.data_directory.custody import (
    CHECKPOINT_SECONDS,
    DirectoryError,
    Generations,
    accept_loss,
    check_nothing_lost,
    hold_directory,
)
from runlake.server.data_directory.leftovers import (
    add_checksums,
    remove_parts,
    remove_unnamed_files,
)
from runlake.server.exports.compressor import LineCompressor
from runlake.server.http.connections import Waiting
from runlake.server.http.intake import MB, RequestLimits
from runlake.server.http.pages import Pages
from runlake.server.runs.runs import Limits
from runlake.server.store.accounts import add_user, check_name, list_users

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a server, as ``runlake serve --help`` describes them."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8765
    storage_port: int = 0
    user: str = "local"
    export_rows: int | None = None
    drop_exported_lines: bool = False
    url_expiry: float = 3600.0
    crash_after: float = 300.0
    max_body: int = 32
    max_upload: int = 50_000
    max_connections: int = 500
    header_timeout: float = 15.0
    body_timeout: float = 60.0
    query_timeout: float = 60.0
    accept_loss: bool = False
    storage_regions: tuple[str, ...] = REGIONS
    access_log: Path | None = None
    ready_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """URLs and default entity of a server; ``api_key`` is set only if a first user was created."""

    base_url: str
    storage_url: str
    entity: str
    api_key: str | None


class ServeError(Exception):
    """The server cannot start; the message says why."""


class Termination:
    """Remembers whether SIGTERM has arrived, and stops a server when it arrives."""

    def __init__(self) -> None:
        self._has_arrived = False
        self._server: uvicorn.Server | None = None

    def note(self) -> None:
        """Record that SIGTERM has arrived, and stop the server."""
        self._has_arrived = True
        if self._server is not None:
            self._server.should_exit = True

    def stops(self, server: uvicorn.Server) -> None:
        """Let SIGTERM stop a server.

        If SIGTERM has arrived before this call, the server stops as soon as it is started.
        """
        self._server = server
        if self._has_arrived:
            server.should_exit = True


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[Termination]:
    """Raise `SystemExit` in the block on SIGTERM, so that the block closes everything it opened.

    While uvicorn runs the server, uvicorn handles the signal first, and sends the signal again
    once no request is under way, or after 3 s.
    Python discards an exception that is raised while it runs a finalizer or a weakref's callback;
    so the signal is also recorded in the `Termination` that the block gets.
    """
    termination = Termination()

    def stop(*_: object) -> NoReturn:
        termination.note()
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def prepare_server(
    options: Options,
) -> Iterator[tuple[Address, uvicorn.Server, list[socket.socket]]]:
    """Bind the ports, open the stores and create the first user.

    Parameters
    ----------
    options : Options
        The options; port 0 means any free port.

    Yields
    ------
    tuple
        The addresses, the server, and the sockets with which the caller runs the server. Clients
        can connect to these sockets already; their requests wait until the server runs.

    Raises
    ------
    ServeError
        If a port is taken, the directory or one of the files cannot be used, or the database of the
        directory is lost.
    AccountError
        If the name of the first user is malformed.
    """
    check_name(options.user)
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(_listen(options.host, options.port))
        with _usable(options.data_dir, "data directory"):
            stack.enter_context(_custody(options))
            storage = stack.enter_context(_listen_for_storage(options))
            base_url, storage_url = _url(options.host, api), _url(options.host, storage)
            limits = Limits(options.export_rows, options.crash_after, options.drop_exported_lines)
            backend = open_backend(
                options.data_dir,
                storage_url,
                limits=limits,
                url_expiry=options.url_expiry,
                regions=options.storage_regions,
            )
            users = list_users(backend.database)
            key = None if users else add_user(backend.database, options.user)
            # Only after the first user: a database with a generation but no users counts as lost.
            generations = Generations(options.data_dir, backend.database)
            # Called after the threads below have ended: a stack exits in reverse order.
            stack.callback(generations.end)
        address = Address(base_url, storage_url, users[0] if users else options.user, key)
        pages = Pages(base_url, options.data_dir, backend.database)
        config = _configure(options, backend, storage.getsockname()[1], pages)
        if options.access_log is not None:
            with _usable(options.access_log, "access log"):
                # A file that cannot be written must fail here, and not at the first request.
                options.access_log.open("a").close()
        if options.ready_file is not None:
            with _usable(options.ready_file, "ready file"):
                _write_ready_file(options.ready_file, address)
        compressor = LineCompressor(
            backend.database, backend.storage, drops=options.drop_exported_lines
        )
        running = backend.exports.running(backend.runs.find_due, compressor.find_runs())
        stack.enter_context(running)
        stack.enter_context(_background(backend, options, generations))
        yield address, uvicorn.Server(config), [api, storage]


def _configure(
    options: Options, backend: Backend, storage_port: int, pages: Pages
) -> uvicorn.Config:
    limits = RequestLimits(options.max_body * MB, options.max_upload * MB, options.query_timeout)
    max_connections = min(options.max_connections, _usable_connections())
    waiting = Waiting(max_connections, options.header_timeout, options.body_timeout)
    return uvicorn.Config(
        build_app(backend, storage_port, options.access_log, limits, pages),
        http=waiting.protocol(),
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
        lifespan="off",
        # Reached only if every connection has a request under way.
        limit_concurrency=max_connections + 1,
    )


def _usable_connections() -> int:
    """Return how many connections may be open: at most half of the file descriptors."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(soft // 2, 16)


@contextlib.contextmanager
def _usable(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except DirectoryError as error:
        raise ServeError(str(error)) from error
    except (OSError, sqlite3.Error) as error:
        raise ServeError(f"The {what} {str(path)!r} cannot be used: {error}.") from error


@contextlib.contextmanager
def _custody(options: Options) -> Iterator[None]:
    """Keep other servers out of the data directory, and check that its database is complete."""
    with hold_directory(options.data_dir):
        if options.accept_loss:
            aside = accept_loss(options.data_dir)
            if aside is not None:
                LOGGER.warning("The files of the lost database are in %r now.", str(aside))
        check_nothing_lost(options.data_dir)
        remove_parts(options.data_dir)
        yield


def _listen_for_storage(options: Options) -> socket.socket:
    """Return a socket that is bound to the port for file storage.

    If the options name no port, the socket uses the port that earlier servers of this data
    directory used, or any free port if that port is taken. A reader may identify cached files by
    their whole URL. If the port changed, such a reader would download the files again.
    """
    memory = options.data_dir / "storage-port"
    remembered = memory.read_text().strip() if memory.is_file() else ""
    if options.storage_port == 0 and remembered.isdecimal():
        with contextlib.suppress(ServeError):
            return _listen(options.host, int(remembered))
        # The file keeps the remembered port, so that the next server tries this port again.
        return _listen(options.host, 0)
    listener = _listen(options.host, options.storage_port)
    memory.write_text(f"{listener.getsockname()[1]}\n")
    return listener


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
        # Accepted connections inherit TCP_NODELAY. Without it each answer waits 40 ms for a delayed
        # acknowledgement: asyncio sets it only on sockets made with an explicit protocol number.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise ServeError(
            f"Port {port} of {host} cannot be used: {str(error).rstrip('.')}."
        ) from error
    listener.setblocking(False)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def _write_ready_file(file: Path, address: Address) -> None:
    aside = file.with_name(f".{file.name}.{os.getpid()}.part")
    facts = {
        "base_url": address.base_url,
        "storage_url": address.storage_url,
        "entity": address.entity,
        "api_key": address.api_key,
        "pid": os.getpid(),
    }
    # Only the owner can read the file, because it contains the API key. It gets its name when it is
    # complete, because other processes wait for this name.
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as ready:
        json.dump(facts, ready)
    aside.replace(file)


@contextlib.contextmanager
def _background(backend: Backend, options: Options, generations: Generations) -> Iterator[None]:
    data_dir, database = options.data_dir, backend.database

    def tidy(is_over: Callable[[], bool]) -> None:
        remove_unnamed_files(data_dir, database)
        add_checksums(data_dir, database, is_over)

    def go_on() -> None:
        if database.return_space():
            database.checkpoint()
        generations.go_on()
        backend.storage.remove_unwanted()

    with (
        repeated(
            min(5.0, options.crash_after / 4),
            backend.runs.end_silent_runs,
            "check for runs that stopped sending",
        ),
        repeated(CHECKPOINT_SECONDS, go_on, "maintain the data directory"),
        once(tidy, "remove leftovers"),
    ):
        yield
