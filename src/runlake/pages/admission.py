"""Shows the pages of ``runlake view`` only to visitors who have the printed address.

Every user of a machine can open its ports. Only the user who started the command sees its output,
so the printed address has a token. A browser that opens this address gets a cookie that replaces
the token.
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, unquote_plus

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.pages.login import safe_path

TOKEN = "token"  # noqa: S105 - a name in the query
REFUSED = (
    "Open the whole address that 'runlake view' printed: the token in it shows that you may.\n"
    "Programs can send it as a header: Authorization: Bearer TOKEN.\n"
)


class Admission:
    """Passes on requests with the secret token or its cookie, and refuses all other requests.

    Parameters
    ----------
    app : ASGIApp
        The pages.
    port : int
        The port of the pages. The cookie's name contains the port, because browsers send a cookie
        to all ports of a host.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._name = f"runlake-view-{port}"
        self._token, self._cookie = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._tickets: set[str] = set()

    def address(self, base: str) -> str:
        """Add the secret token to an address; the token is valid until the server ends."""
        return f"{base}?{TOKEN}={self._token}"

    def address_for_once(self, base: str) -> str:
        """Return an address that can be opened only once.

        Use it to start a browser: other users of the machine can read the browser's command line.
        """
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return f"{base}?{TOKEN}={ticket}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        sent, rest = _split(scope["query_string"].decode("latin-1"))
        is_known = self._is_known(headers)
        # The token comes first: a ticket is used up even if the browser has the cookie already.
        if sent is not None and (self._is_token(sent) or is_known):
            await self._welcome(scope, rest)(scope, receive, send)
        elif is_known:
            await self._app(scope, receive, send)
        else:
            refused = PlainTextResponse(REFUSED, 401, {"Cache-Control": "no-store"})
            await refused(scope, receive, send)

    def _welcome(self, scope: Scope, rest: str) -> Response:
        """Return a redirect to the address without the token; the response also sets the cookie."""
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        path = safe_path(raw.partition(b"?")[0].decode("latin-1")) or "/"
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        answer.headers["Cache-Control"] = "no-store"
        # This request's address has the token, so no later request may send it as the referrer.
        answer.headers["Referrer-Policy"] = "no-referrer"
        # Strict cookies are not sent after a click in another program's page, such as a notebook.
        answer.set_cookie(self._name, self._cookie, httponly=True, samesite="lax")
        return answer

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _is_equal(token.strip(), self._token):
            return True
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._name)
        except CookieError:
            return False
        return found is not None and _is_equal(found.value, self._cookie)

    def _is_token(self, sent: str) -> bool:
        ticket = next((one for one in self._tickets if _is_equal(sent, one)), None)
        if ticket is not None:
            self._tickets.discard(ticket)
            return True
        return _is_equal(sent, self._token)


def _split(query: str) -> tuple[str | None, str]:
    """Return the token in a query string, or None, and the query string without the token.

    Examples
    --------
    >>> _split("run=a%20b&token=secret&page=2")
    ('secret', 'run=a%20b&page=2')
    """
    parts = query.split("&") if query else []
    tokens = [part for part in parts if part.partition("=")[0] == TOKEN]
    rest = "&".join(part for part in parts if part not in tokens)
    return (unquote_plus(tokens[-1].partition("=")[2]) if tokens else None), rest


def _is_equal(sent: str, known: str) -> bool:
    # The time of this comparison does not depend on how much of a guessed text is right.
    return hmac.compare_digest(sent.encode("utf-8", "replace"), known.encode())
