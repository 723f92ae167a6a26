"""Builds HTTP responses: pages from templates, data as files, and errors as pages or JSON."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runlake.charts.files import UPLOT_FILES
from runlake.errors import (
    AccessDenied,
    ArtifactEntryNotFound,
    ArtifactNotFoundError,
    InvalidArgument,
    NotCached,
    ProjectNotFoundError,
    RunFileNotFoundError,
    RunlakeError,
    RunNotFoundError,
    StaleWarning,
    SweepNotFoundError,
)
from runlake.pages.addresses import OWN, path_of, with_query
from runlake.pages.static import static_files, versioned
from runlake.values.counted import counted

if TYPE_CHECKING:
    import polars as pl

# A copy has its policy in a meta element, in which browsers ignore frame-ancestors.
POLICY_OF_COPY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
POLICY = f"{POLICY_OF_COPY}; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Caches must not share an answer between visitors, and the browser must ask each time whether an
# answer has changed.
CACHE_CONTROL = "private, no-cache"
JSON, CSV, PARQUET = "application/json", "text/csv; charset=utf-8", "application/vnd.apache.parquet"
DATA = {"json": JSON, "csv": CSV, "parquet": PARQUET}
# Errors for things that do not exist or that the visitor may not read. All have the same response,
# except that the text of `NotCached` is shown.
ABSENT = (
    AccessDenied,
    ArtifactEntryNotFound,
    ArtifactNotFoundError,
    NotCached,
    ProjectNotFoundError,
    RunFileNotFoundError,
    RunNotFoundError,
    SweepNotFoundError,
)
NOT_THERE = "There is nothing here, or you may not read it."
# Number of rows that the json module writes in a few milliseconds.
ROWS_PER_PIECE = 200
# Address of a link that leads to nothing in a static copy.
NOWHERE = "#"
# Keys in the scope of a request: the source of the visitor, the visitor's name, and the page of a
# static copy that the answer is for.
SOURCE, VISITOR, COPY = "runlake.source", "runlake.visitor", "runlake.copy"


def page(
    request: Request,
    template: str,
    status: int = 200,
    *,
    data_base: str | None = None,
    copied: Iterable[tuple[str, Mapping[str, Any]]] = (),
    **values: Any,
) -> Response:
    """Return the response with a page, which is built from a template.

    Parameters
    ----------
    request : Request
        The request. Its path parameters ``entity``, ``project`` and ``run_id`` make the links in
        the head of the page.
    template : str
        Name of the template.
    status : int
        The HTTP status.
    data_base : str, optional
        Address below which the script of the page finds its data, with a slash at its end; the
        address of the page itself if omitted.
    copied : iterable of tuple
        What the script of the page reads first; a static copy stores these data. Each item has
        the two arguments of a call of ``runlakeData`` in the script: name and parameters.
    **values
        Values for the template; all text in them is escaped.
    """
    path: str = request.scope["path"]
    base = f"{path.rstrip('/')}/" if data_base is None else data_base
    if is_copy(request):
        request.scope[COPY].needs(base, copied)
    names = request.path_params
    known = {name: names.get(name) for name in ("entity", "project", "run_id")}
    always = {
        "request": request,
        "title": None,
        "visitor": request.scope.get(VISITOR),
        "is_copy": is_copy(request),
        "data_base": "" if is_copy(request) else base,
        "policy": POLICY_OF_COPY,
    }
    text = _templates().get_template(template).render({**always, **known, **values})
    # Surrogates cannot be encoded as UTF-8.
    content = text.encode("utf-8", "backslashreplace")
    return tagged(request, Response(content, status, media_type="text/html; charset=utf-8"))


def data(
    request: Request,
    rows: pl.DataFrame | Sequence[Mapping[str, Any]],
    suffix: str,
    name: str = "runlake",
) -> Response:
    """Return the response with a table as a JSON, CSV or Parquet file.

    Parameters
    ----------
    request : Request
        The request. If it names the response's ETag, the response is HTTP 304 without content.
    rows : polars.DataFrame or sequence of mapping
        The rows of the table.
    suffix : {"json", "csv", "parquet"}
        The format. JSON is a list of objects, in which NaN and infinities are the strings "NaN",
        "Infinity" and "-Infinity", as W&B writes them. In CSV, nested values are JSON text.
    name : str
        Name of the file, without suffix, under which a browser stores it.
    """
    if suffix not in DATA:
        raise HTTPException(404)
    if suffix == "json":
        content = _json_bytes(rows if isinstance(rows, (list, tuple)) else _dicts(rows))
    else:
        frame = _frame(rows)
        buffer = io.BytesIO()
        if suffix == "csv":
            flat_frame(frame).write_csv(buffer)
        else:
            frame.write_parquet(buffer)
        content = buffer.getvalue()
    answer = Response(content, media_type=DATA[suffix])
    if suffix != "json":
        answer.headers["Content-Disposition"] = attachment(f"{name}.{suffix}")
    return tagged(request, answer)


def json_answer(request: Request, value: Any, status: int = 200) -> Response:
    """Return the response with a value as JSON; NaN and infinities are strings, as in `data`."""
    return tagged(request, Response(_json_bytes(value), status, media_type=JSON))


def attachment(name: str) -> str:
    """Return a ``Content-Disposition`` value with which browsers save a response as a file."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    encoded = quote(name, safe="", errors="surrogatepass")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def tagged(request: Request, answer: Response) -> Response:
    """Add an ETag to a response; if the browser has the same content, return HTTP 304 instead.

    A response with a status other than 200 gets no ETag, and a header forbids storing it.
    """
    if answer.status_code != HTTPStatus.OK:
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer
    headers = validators(hashlib.blake2b(bytes(answer.body), digest_size=16).hexdigest())
    if is_known(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    answer.headers.update(headers)
    return answer


def validators(digest: str) -> dict[str, str]:
    """Return headers that make a browser ask each time whether its cached response is current."""
    headers = {"ETag": f'"{digest}"', "Cache-Control": CACHE_CONTROL}
    return {**headers, "Vary": "Cookie, Authorization"}


def is_known(request: Request, tag: str) -> bool:
    """Return whether the browser has already cached the response with the given ETag."""
    named = request.headers.get("if-none-match", "").split(",")
    # RFC 9110 compares these tags without "W/", which a proxy that compresses may add.
    return tag in {one.strip().removeprefix("W/") for one in named}


def is_copy(request: Request) -> bool:
    """Return whether the response will become a file of a static copy."""
    return COPY in request.scope


def base_of(request: Request) -> str:
    """Return the path below which the pages are mounted; usually empty."""
    base: str = request.scope.get("root_path", "")
    return base


@jinja2.pass_context
def link(context: jinja2.runtime.Context, *parts: str, **query: str) -> str:
    """Return a page's address; templates call ``link(entity, project, "runs", run_id)``."""
    return link_to(context["request"], *parts, **query)


def link_to(request: Request, *parts: str, **query: str) -> str:
    """Return the address of a page; each part of the path is percent-encoded here."""
    if is_copy(request):
        # A copy has no pages for addresses with a query, so such links lead nowhere.
        address: str = request.scope[COPY].link(parts) if not any(query.values()) else NOWHERE
        return address
    return with_query(base_of(request) + (path_of(parts) or "/"), query)


@jinja2.pass_context
def static(context: jinja2.runtime.Context, name: str) -> str:
    """Return the address of a script or style file; templates call this function."""
    request = context["request"]
    if is_copy(request):
        address: str = request.scope[COPY].static(name)
        return address
    return base_of(request) + path_of([OWN, "static", versioned(name)])


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("runlake.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "link": link,
        "static": static,
        "has_uplot": static_files().keys() >= set(UPLOT_FILES),
        "NOWHERE": NOWHERE,
    }
    environment.filters |= {"readable": readable, "moment": moment, "counted": counted}
    return environment


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer a failed request with a page; with JSON if it asked for data or is no GET or HEAD."""
    status, text = _explained(error)
    headers = getattr(error, "headers", None) or {}
    suffix = request.scope["path"].rpartition("/")[2].rpartition(".")[2]
    if suffix in DATA or request.method not in {"GET", "HEAD"}:
        answer = json_answer(request, {"error": text}, status)
    else:
        heading = "Not found" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase
        answer = page(request, "error.html", status, heading=heading, text=text, title=heading)
    answer.headers.update(headers)
    return answer


def _explained(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        known = error.detail != HTTPStatus(error.status_code).phrase
        text = error.detail if known else NOT_THERE if error.status_code == 404 else error.detail  # noqa: PLR2004
        return error.status_code, text
    if isinstance(error, ABSENT):
        # The text may say which run was not pulled: this is no secret.
        return HTTPStatus.NOT_FOUND, str(error) if isinstance(error, NotCached) else NOT_THERE
    if isinstance(error, InvalidArgument):
        return HTTPStatus.BAD_REQUEST, str(error)
    if isinstance(error, RunlakeError):
        return HTTPStatus.BAD_GATEWAY, str(error)
    if isinstance(error, StaleWarning):
        return HTTPStatus.SERVICE_UNAVAILABLE, "The backend does not answer. Try again."
    return HTTPStatus.INTERNAL_SERVER_ERROR, "This is a bug in runlake; the log has the traceback."


ERRORS: dict[Any, Any] = {
    HTTPException: answer_error,
    RunlakeError: answer_error,
    StaleWarning: answer_error,
    Exception: answer_error,
}


class WithHeaders:
    """Adds the same security headers to every response, including error responses.

    Parameters
    ----------
    app : ASGIApp
        The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_more)


def plain_json(value: Any) -> Any:
    """Return a value for strict JSON: NaN, infinities and types that JSON lacks become strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(one) for one in value]
    return str(value)


def readable(value: Any) -> str:
    """Return a value as indented JSON text for people."""
    return json.dumps(plain_json(value), indent=2, ensure_ascii=False)


def moment(text: Any) -> str:
    """Convert a time in ISO 8601, as backends write it, to text for people, in UTC.

    A time without a zone is in UTC. A text that is not a time is returned unchanged.

    Examples
    --------
    >>> moment("2026-01-31T09:05:07.123456+02:00"), moment(None), moment("soon")
    ('2026-01-31 07:05:07 UTC', '', 'soon')
    """
    try:
        found = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return str(text or "")
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return f"{found:%Y-%m-%d %H:%M:%S} UTC"


def flat_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose nested columns are JSON text, for CSV."""
    import polars as pl

    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    texts = [
        pl.Series(
            name,
            [None if one is None else _json_bytes(one).decode() for one in frame[name].to_list()],
            pl.String,
        )
        for name in nested
    ]
    return frame.with_columns(texts)


def _json_bytes(value: Any) -> bytes:
    """Return a value as strict JSON; long lists are encoded in pieces.

    The json module holds the interpreter's lock while it encodes, for example a tenth of a second
    for 10,000 rows. Between two pieces, an embedded backend can answer other requests.
    """
    if isinstance(value, (list, tuple)) and len(value) > ROWS_PER_PIECE:
        starts = range(0, len(value), ROWS_PER_PIECE)
        pieces = (_json_bytes(value[start : start + ROWS_PER_PIECE]) for start in starts)
        return b"[" + b",".join(piece[1:-1] for piece in pieces) + b"]"
    text = json.dumps(plain_json(value), allow_nan=False, separators=(",", ":"))
    return text.encode()


def _dicts(rows: Any) -> list[Mapping[str, Any]]:
    return rows.to_dicts() if hasattr(rows, "to_dicts") else list(rows)


def _frame(rows: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(rows, pl.DataFrame):
        return rows
    return pl.from_dicts(list(rows), strict=False) if rows else pl.DataFrame()
