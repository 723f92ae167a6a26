"""Log in to the pages of an embedded backend with an API key.

A cookie names a session; the key itself stays in the memory of the server. So a cookie does not
give access to the API, and a restart of the server ends all sessions. For each request, the backend
is asked whether the key is still valid.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from cachetools import LRUCache, TTLCache
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from runlake.pages.addresses import OWN
from runlake.pages.responses import base_of, link_to, page
from runlake.pages.threads import in_thread

if TYPE_CHECKING:
    from runlake.pages.source import Source

SECONDS = 14 * 24 * 3600
MAX_SESSIONS, MAX_SOURCES = 10_000, 256
MAX_FORM_BYTES = 8_192
MAX_KEY = 512
LOGIN, LOGOUT = f"/{OWN}/login", f"/{OWN}/logout"
WRONG_KEY = "The backend does not know this API key."
NO_FORM = "The form could not be read."
FOREIGN = "The form was sent from a page of another site."


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a visitor who has logged in with an API key."""

    key: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """The user of an API key, with the source of the data that this user may read."""

    name: str
    source: Source


class Login:
    """Logs visitors in and out, and finds the visitor who sent a request.

    Parameters
    ----------
    user_of_key : callable
        Returns the name of the user of an API key; None if the key is wrong or was revoked.
    open_source : callable
        Takes an API key and the name of its user, and returns the source of the data that this
        user may read.
    """

    def __init__(
        self, user_of_key: Callable[[str], str | None], open_source: Callable[[str, str], Source]
    ) -> None:
        self._user_of_key = user_of_key
        self._open_source = open_source
        self._sessions: TTLCache[str, Session] = TTLCache(MAX_SESSIONS, SECONDS)
        self._sources: LRUCache[str, Source] = LRUCache(MAX_SOURCES)
        self._lock = Lock()

    @property
    def routes(self) -> list[Route]:
        """The routes of the login form, of a login, and of a logout."""
        return [
            Route(LOGIN, self._show_form, methods=["GET"]),
            Route(LOGIN, self._log_in, methods=["POST"]),
            Route(LOGOUT, self._log_out, methods=["POST"]),
        ]

    async def visitor(self, request: Request) -> Visitor | None:
        """Return the visitor who sent a request; None without a login or with a wrong API key."""
        key = _sent_key(request)
        if key is None:
            session = self._session(request)
            key = None if session is None else session.key
        return None if key is None else await in_thread(self._visitor_with, key)

    def _visitor_with(self, key: str) -> Visitor | None:
        name = self._user_of_key(key)
        digest = hashlib.sha256(key.encode()).hexdigest()
        if name is None:
            with self._lock:
                self._sources.pop(digest, None)
                # The key was revoked, so all sessions of this key end.
                for cookie in [c for c, one in self._sessions.items() if one.key == key]:
                    self._sessions.pop(cookie, None)
            return None
        with self._lock:
            source = self._sources.get(digest)
        if source is None:
            source = self._open_source(key, name)
            with self._lock:
                source = self._sources.setdefault(digest, source)
        return Visitor(name, source)

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(cookie_name(request), "")
        with self._lock:
            found: Session | None = self._sessions.get(_digest(cookie)) if cookie else None
        return found

    async def _show_form(self, request: Request) -> Response:
        wanted = safe_path(request.query_params.get("next"))
        if await self.visitor(request) is not None:
            return RedirectResponse(wanted or link_to(request), 303)
        return _form(request, wanted)

    async def _log_in(self, request: Request) -> Response:
        # Read the form before refusing it: an answer before its end can close the connection.
        sent = await _read_form(request)
        if not is_from_here(request):
            return _form(request, "", FOREIGN, 403)
        if sent is None:
            return _form(request, "", NO_FORM, 400)
        # The target comes from the URL, so it is followed only if it is a path of this site.
        wanted, key = safe_path(sent.get("next")), sent.get("key", "").strip()
        # What cannot be a key is not sent to the backend.
        is_known = 0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()
        if not is_known or await in_thread(self._user_of_key, key) is None:
            return _form(request, wanted, WRONG_KEY, 401)
        # Each login gets a new cookie, so that a cookie that an attacker set before is useless.
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_digest(cookie)] = Session(key)
        answer = RedirectResponse(wanted or link_to(request), 303)
        answer.set_cookie(
            cookie_name(request),
            cookie,
            max_age=SECONDS,
            path=base_of(request) or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _log_out(self, request: Request) -> Response:
        await _read_form(request)
        if not is_from_here(request):
            return _form(request, "", FOREIGN, 403)
        cookie = request.cookies.get(cookie_name(request), "")
        with self._lock:
            self._sessions.pop(_digest(cookie), None)
        answer = RedirectResponse(link_to(request, OWN, "login"), 303)
        answer.delete_cookie(
            cookie_name(request),
            path=base_of(request) or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer


def cookie_name(request: Request) -> str:
    """Return the name of the cookie that identifies a session.

    The name contains the port, because browsers send a cookie to all ports of a host.
    """
    port = request.url.port
    return f"runlake-{port}" if port else "runlake"


def safe_path(text: str | None) -> str:
    """Return the target of a redirect if it is a path of this site, else an empty string.

    Examples
    --------
    >>> safe_path("/team/p?x=1"), safe_path("//evil.example"), safe_path("https://evil.example")
    ('/team/p?x=1', '', '')
    """
    path = text or ""
    # Browsers take "//host" and "/\\host" for the address of another host.
    is_here = path.startswith("/") and path[1:2] not in {"/", "\\"}
    return path if is_here and all(character > " " for character in path) else ""


def is_from_here(request: Request) -> bool:
    """Return whether a form was sent from a page of this site, or by a program."""
    # Browsers set this header; the host that is compared below may have been changed by a proxy.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"none", "same-origin"}
    origin = request.headers.get("origin")
    # A program, not a browser: it has no cookie that another site could use.
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:
        return False


def _form(request: Request, wanted: str, wrong: str = "", status: int = 200) -> Response:
    answer = page(request, "login.html", status, wanted=wanted, wrong=wrong, title="Log in")
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _read_form(request: Request) -> Mapping[str, str] | None:
    content = bytearray()
    try:
        async for piece in request.stream():
            content += piece
            if len(content) > MAX_FORM_BYTES:
                return None
        fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=8)
    except (ClientDisconnect, ValueError):
        return None
    return {name: values[-1] for name, values in fields.items()}


def _sent_key(request: Request) -> str | None:
    """Return the API key in the ``Authorization`` header; None if there is no key.

    As in requests to the API, the key is the password of HTTP Basic authentication.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(token).decode().partition(":")[2]
    except ValueError:
        return None


def _digest(cookie: str) -> str:
    # The time to look up a digest does not depend on how much of a guessed cookie is right.
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
