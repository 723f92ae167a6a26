"""One seed is one answer with one error in it, which every request for it gets."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import random
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.children import serve
from tests.fuzz.recorded_answers import API_KEY, HOST, READERS, name_of, send, serving

import runlake

PLACE = "FUZZ_ANSWERS"  # the variable that names the recording
MAX_READERS = 4
DEEP = "[" * 100_000 + "]" * 100_000
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, -(2**63), 10**19, 10**400, float("nan"), float("inf"),
    "", "x", "\ud800", "\x00\x1b[31m", "NaN", "1e999", "9" * 30, "x" * 100_000, "{", "[1]", "null",
    "{}", DEEP, '{"a":' * 500 + "1" + "}" * 500, "http://[", "ftp://x", "2026-13-45T99:99:99",
    [], [[]], [None], {}, {"": None}, {"a": 1},
]  # fmt: skip
STATUSES = [204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 408, 409, 410, 416, 425, 429, 500]
STATUSES += [501, 502, 503, 599, 999]
HEADERS: list[tuple[str, str]] = [
    ("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Length", "0"),
    ("Content-Length", "5"), ("Content-Length", "99999999"), ("Content-Length", "x"),
    ("Content-Length", "9" * 5000), ("Content-Range", "bytes 0-1/2"), ("Content-Range", "x"),
    ("ETag", "\xff\x80"), ("ETag", ""), ("Location", "http://["), ("Location", "/x"),
    ("Retry-After", "nan"), ("Retry-After", "-5"), ("Retry-After", "Fri, 99 Zzz"),
    ("Retry-After", "9" * 400), ("Retry-After", "Mon, 01 Jan 9999 00:00:00 -2359"),
    ("Last-Modified", "Mon, 99 Jan 99999"), ("x-goog-hash", "crc32c=AAAA,md5=x"),
    ("Content-MD5", "x"), ("X-Long", "y" * 60_000), ("RateLimit-Limit", "nan"),
    ("RateLimit", "limit=0, remaining=x, reset=-1"), ("Transfer-Encoding", "chunked"),
    ("Content-Type", "text/html; charset=utf-99"), ("Set-Cookie", "=;\x01=\xff"),
    ("ETag", '"' + "0" * 32 + '"'), ("Accept-Ranges", "none"), ("Content-Encoding", "gzip, gzip"),
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return the container and key of every value in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in list(items):
        found.append((value, key))
        if isinstance(item, (dict, list)):
            found += _places(item)
    return found


def _mutate_json(value: Any, chance: random.Random) -> Any:
    """Change one place of a JSON value; it may be within a JSON text in it."""
    if not isinstance(value, (dict, list)) or not value:
        return chance.choice(ODD)
    places = _places(value)
    # Fewer of the many alike, as rows are.
    container, key = chance.choice(places[:40] if chance.random() < 0.5 else places)
    item = container[key]
    inner = None
    if isinstance(item, str) and item[:1] in {"{", "["}:
        with suppress(ValueError):
            inner = json.loads(item)
    if inner and chance.random() < 0.6:
        container[key] = json.dumps(_mutate_json(inner, chance))
        return value
    how = chance.random()
    if how < 0.6:
        container[key] = chance.choice(ODD)
    elif how < 0.8:
        del container[key]
    elif how < 0.85:
        container[key] = [item]
    elif how < 0.9:
        container[key] = json.dumps(item)
    elif isinstance(container, dict):
        container[chance.choice(["", "x", "\ud800", "_step", "name"])] = container.pop(key)
    else:
        container += [item] * chance.choice([1, 3])
    return value


def _mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content or b"x")
    place = chance.randrange(len(changed))
    how = chance.randrange(6)
    if how == 0:
        changed[place] ^= 1 << chance.randrange(8)
    elif how == 1:
        del changed[place:]
    elif how == 2:
        changed[place:place] = chance.choice([b"\xff\xfe", b"\x00", b"[" * 5000, b"9" * 5000])
    elif how == 3:
        changed = bytearray(chance.choice([b"", b"null", b"[]", b"{}", DEEP.encode(), b"\xff"]))
    elif how == 4:
        changed = bytearray(gzip.compress(content))
    else:
        changed = bytearray(content.replace(b":", b": " + b"1" * 5000, 1))
    return bytes(changed)


class Player:
    """Plays a recording, with one answer changed."""

    def __init__(self) -> None:
        recorded = json.loads(Path(os.environ[PLACE]).read_text())
        self.path: str = recorded["path"]
        self.asked: dict[str, list[str]] = recorded["asked"]
        self._answers = recorded["answers"]
        self._by_kind = {name.partition(" ")[0]: name for name in self._answers}
        self._guard = threading.Lock()
        self.begin(random.Random(0), None)

    def begin(self, chance: random.Random, target: str | None) -> None:
        """Change the answers to the operation with a name from now on, or only the first one."""
        with self._guard:
            self._target = target
            self._seed = chance.random()
            self._n_left = chance.choice([1, 10**9])
            self._how = chance.choice(["json"] * 6 + ["bytes", "status", "headers"])

    def answer(self, handler: http.server.BaseHTTPRequestHandler, own_url: str) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        name = name_of(handler.command, handler.path, body)
        found = self._answers.get(name) or self._answers.get(
            self._by_kind.get(name.partition(" ")[0], "")
        )
        if found is None:
            send(handler, 404, {}, b"no\n")
            return
        status, headers = found["status"], dict(found["headers"])
        content = bytes.fromhex(found["content"])
        with self._guard:
            is_changed = name == self._target and self._n_left > 0
            self._n_left -= is_changed
        if is_changed:
            status, headers, content = self._changed(status, headers, content)
        content = content.replace(HOST.encode(), own_url.encode())
        send(handler, status, headers, content)

    def _changed(
        self, status: int, headers: dict[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        chance = random.Random(self._seed)
        if self._how == "json":
            try:
                value = json.loads(content)
            except ValueError:
                return status, headers, _mutate_bytes(content, chance)
            return status, headers, json.dumps(_mutate_json(value, chance)).encode()
        if self._how == "bytes":
            return status, headers, _mutate_bytes(content, chance)
        if self._how == "status":
            return chance.choice(STATUSES), headers, chance.choice([content, b"", b"<title>x"])
        name, text = chance.choice(HEADERS)
        return chance.choice([status, status, 429, 302]), {**headers, name: text}, content


@cache
def _player() -> tuple[Player, str]:
    player = Player()
    context = serving(player)
    _kept.append(context)
    return player, context.__enter__()


_kept: list[Any] = []


def try_seed(seed: int) -> Iterator[str]:
    """Change an answer, and read in the ways that ask for it."""
    warnings.simplefilter("ignore")
    player, url = _player()
    chance = random.Random(seed)
    # Whatever is asked rarely is as likely as what all readers ask.
    target = chance.choice(sorted({name for names in player.asked.values() for name in names}))
    readers = [name for name, asked in player.asked.items() if target in asked]
    chosen = chance.sample(readers, min(MAX_READERS, len(readers)))
    for name in chosen:
        read: Callable[[runlake.Api, str], Any] = READERS[name]
        player.begin(random.Random(seed), target)
        yield f"{name}, {target[:80]}, {player._how}"
        with tempfile.TemporaryDirectory() as folder, suppress(runlake.errors.RunlakeError):
            settings = {"base_url": url, "cache_dir": folder}
            read(runlake.Api(settings, api_key=API_KEY, timeout=0.5), player.path)


if __name__ == "__main__":
    serve(try_seed)
