"""Write a static copy of pages: files that any web server can serve, with the data of their charts.

The pages are those that a visitor sees, with relative links. A copy has the pages of one run, of
one project, or of all pulled runs; a link to anything else leads nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp, Message, Scope

from runlake.errors import InvalidArgument, RunlakeError
from runlake.pages.addresses import path_of
from runlake.pages.app import build_pages
from runlake.pages.responses import COPY, DATA, NOWHERE
from runlake.pages.static import content_of, static_files
from runlake.pages.target import Target

INDEX, STATIC, DATA_INDEX = "index.html", "static", "data.json"
# A file of this name marks a directory as a static copy, which a later copy may replace.
MARK = ".runlake-copy"
PLAIN = re.compile(r"[a-z0-9_][a-z0-9._-]{0,79}")
WORKSPACE = "workspace"
RUNS, ARTIFACTS, RAW, FILES = "runs", "artifacts", "raw", "files"
OK = 200

Parts = tuple[str, ...]


@dataclass(slots=True)
class Copied:
    """The result of a static copy: counts, and the addresses that could not be copied.

    Parameters
    ----------
    n_pages, n_files, n_bytes : int
        Number of pages, number of other files, and the size of both in bytes.
    failed : list of str
        Addresses that could not be copied, with the reason.
    """

    n_pages: int = 0
    n_files: int = 0
    n_bytes: int = 0
    failed: list[str] = field(default_factory=list)


def export(target: Target, output: Path) -> Copied:
    """Write a static copy of pages to a directory, and return what was copied.

    Parameters
    ----------
    target : Target
        The first page, and the source of the data. Pages outside of the first page's run or project
        are not copied.
    output : Path
        The directory to write. An earlier copy in this directory is replaced as soon as the new
        copy is complete.

    Raises
    ------
    InvalidArgument
        If ``output`` is a file, or a directory that has files and is not an earlier copy.
    RunlakeError
        If the first page cannot be read, or the directory cannot be written.
    """
    is_there = output.exists()
    if is_there and not output.is_dir():
        raise InvalidArgument(f"{str(output)!r} is a file, not a directory.")
    # Only an earlier copy is replaced, never a directory with files of the user.
    if is_there and any(output.iterdir()) and not (output / MARK).exists():
        raise InvalidArgument(
            f"{str(output)!r} is neither empty nor an earlier copy; choose another directory."
        )
    place = output.absolute()
    # In the same parent directory, because a rename cannot leave a file system.
    aside = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        aside.mkdir(parents=True)
        site = _Site(build_pages(target.source), target.path, aside)
        _run(site.write())
        _replace(place, aside)
    except OSError as error:
        raise RunlakeError(f"{str(output)!r} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return site.copied


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, even in a thread with a running event loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    # A notebook runs an event loop in this thread, and a second one cannot run in it.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, work).result()


def _replace(place: Path, new: Path) -> None:
    old = place.with_name(f".{place.name}.{secrets.token_hex(4)}.old")
    if place.exists():
        # Renamed, not deleted: the old copy is there until the new one is in its place.
        place.replace(old)
    new.replace(place)
    shutil.rmtree(old, ignore_errors=True)


class _Site:
    """Writes a static copy: begins with one page, and follows the links from page to page."""

    def __init__(self, app: ASGIApp, start: Parts, folder: Path) -> None:
        self.copied = Copied()
        self._app = app
        self._start = start
        # The address of a project may end with "workspace"; its pages are in the same folder then.
        self._root = start[:-1] if start[-1:] == (WORKSPACE,) else start
        self._folder = folder
        self._waiting: deque[Parts] = deque()
        self._known: dict[str, Parts] = {}

    async def write(self) -> None:
        for name in static_files():
            self._put(Path(STATIC, name), content_of(name))
        (self._folder / MARK).write_text("A static copy of pages, written by runlake.\n")
        self.place_of(self._start)
        while self._waiting:
            parts = self._waiting.popleft()
            await self._copy(parts)

    def place_of(self, parts: Parts) -> Path | None:
        """Return the file for the page at an address; None if the page is not part of this copy.

        A page that is requested for the first time is added to the queue of pages to write.
        """
        if parts[: len(self._root)] != self._root:
            return None
        below = list(parts[len(self._root) :])
        if below == [WORKSPACE] or (not self._root and below[2:] == [WORKSPACE]):
            below.pop()
        folder = Path(*(part for name in below for part in _safe(name)))
        file = folder if _is_file(parts) else folder / INDEX
        if str(file) not in self._known:
            self._known[str(file)] = parts
            self._waiting.append(parts)
        return file

    async def _copy(self, parts: Parts) -> None:
        file = self.place_of(parts)
        if file is None:
            return
        if self._is_blocked(file):
            reason = "its name is that of a file and a directory"
            self.copied.failed.append(f"{path_of(parts)}: {reason}")
            return
        copy = _PageCopy(self, file)
        # The application is called without a server, so a copy needs no port.
        status = await self._fetch(path_of(parts) or "/", file, copy)
        # Without its first page the copy is useless; other pages are reported.
        if status != OK and parts == self._start:
            raise RunlakeError(f"The page of '{'/'.join(parts)}' cannot be read: HTTP {status}.")
        if status != OK:
            self.copied.failed.append(f"{path_of(parts)}: HTTP {status}")
        if not _is_file(parts):
            self.copied.n_pages += 1
            self.copied.n_files -= 1
        if copy.wanted:
            await self._copy_data(file.parent, copy)

    def _is_blocked(self, file: Path) -> bool:
        """Return whether the copy has a directory in place of a file, or a file above it.

        An artifact or a run can have the files ``a`` and ``a/b``; a directory cannot.
        """
        is_file_above = any((self._folder / one).is_file() for one in file.parents)
        return is_file_above or (self._folder / file).is_dir()

    async def _copy_data(self, folder: Path, copy: _PageCopy) -> None:
        index: dict[str, str] = {}
        for base, name, pairs in copy.wanted:
            # The script finds the file of a request by the text that JSON.stringify returns.
            key = json.dumps([name, pairs], separators=(",", ":"), ensure_ascii=False)
            if key in index:
                continue
            file = f"data-{len(index) + 1}.json"
            query = f"?{urlencode(pairs)}" if pairs else ""
            status = await self._fetch(f"{base}{name}.json{query}", folder / file, copy)
            index[key] = file
            if status != OK:
                self.copied.failed.append(f"{base}{name}.json{query}: HTTP {status}")
        self._put(folder / DATA_INDEX, json.dumps(index).encode())

    async def _fetch(self, address: str, file: Path, copy: _PageCopy) -> int:
        path, _, query = address.partition("?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [],
            "client": None,
            "server": ("copy", 80),
            COPY: copy,
        }
        target = self._folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as opened:
            receiver = _Receiver(opened)
            await self._app(scope, receiver.receive, receiver.send)
            n_bytes = opened.tell()
        self._count(n_bytes)
        return receiver.status

    def _put(self, file: Path, content: bytes) -> None:
        target = self._folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self._count(len(content))

    def _count(self, n_bytes: int) -> None:
        self.copied.n_files += 1
        self.copied.n_bytes += n_bytes


class _PageCopy:
    """One page of a static copy, with relative links and a list of the data its script reads."""

    def __init__(self, site: _Site, file: Path) -> None:
        self._site = site
        self._folder = file.parent
        self.wanted: list[tuple[str, str, list[tuple[str, str]]]] = []

    def link(self, parts: Parts) -> str:
        """Return the relative address of another page; ``#`` for a page that is not copied."""
        file = self._site.place_of(tuple(parts))
        return NOWHERE if file is None else self._relative(file)

    def static(self, name: str) -> str:
        """Return the address of a script or a style, relative to this page."""
        return self._relative(Path(STATIC, name))

    def needs(self, base: str, copied: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Record which data the page's script reads, so that the data are copied too."""
        self.wanted += [(base, name, _pairs(parameters)) for name, parameters in copied]

    def _relative(self, file: Path) -> str:
        # Names of files in a copy need no encoding, see `_safe`.
        return os.path.relpath(file, self._folder).replace(os.sep, "/")


class _Receiver:
    """Receives an HTTP response of the application, and writes its content to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.status = 0
        self._file = file
        self._is_over = asyncio.Event()

    async def receive(self) -> Message:
        # Starlette stops a streamed response as soon as this method reports a closed connection.
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self._file.write(message.get("body", b""))
            if not message.get("more_body"):
                self._is_over.set()


def _pairs(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return query parameters as pairs of strings, which ``runlakeData`` looks up in a copy."""
    pairs: list[tuple[str, str]] = []
    # Sorted by key, because the script looks up the text of all pairs.
    for key in sorted(parameters):
        value = parameters[key]
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(key, _text(one)) for one in values if one is not None and one != ""]
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_file(parts: Parts) -> bool:
    """Return whether an address leads to a file, and not to a page."""
    kind = parts[2] if len(parts) > 3 else ""  # noqa: PLR2004 - below a project
    at = {RUNS: 4, ARTIFACTS: 6}.get(kind, 2)
    if kind in {RUNS, ARTIFACTS} and parts[at : at + 1] in {(RAW,), (FILES,)}:
        return parts[at] == RAW
    return len(parts) == at + 1 and parts[at].rpartition(".")[2] in DATA


def _safe(name: str) -> list[str]:
    """Split a name at its slashes into file names that file systems and URLs keep unchanged.

    Examples
    --------
    >>> _safe("media/images"), _safe("run-1")
    (['media', 'images'], ['run-1'])
    """
    return [_safe_part(part) for part in name.split("/")]


def _safe_part(name: str) -> str:
    if PLAIN.fullmatch(name) and name not in {STATIC, INDEX, DATA_INDEX}:
        return name
    # Names that differ only by case or by replaced characters get different files.
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    stem, dot, suffix = name.rpartition(".")
    readable = re.sub(r"[^a-z0-9]+", "-", (stem or suffix).lower()).strip("-")[:40]
    end = f".{suffix.lower()}" if stem and dot and re.fullmatch("[A-Za-z0-9]{1,8}", suffix) else ""
    return f"{readable or 'x'}-{digest}{end}"
