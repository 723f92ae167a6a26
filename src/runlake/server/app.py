"""The ASGI application, which serves the API on one origin and file storage on another."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runlake.server.artifacts.artifacts import REGIONS, ArtifactStore
from runlake.server.data_directory.custody import DATABASE, STORAGE
from runlake.server.exports.queue import ExportQueue
from runlake.server.graphql.budget import Budget
from runlake.server.graphql.context import Context
from runlake.server.graphql.execute import encode_answer, execute, is_request, operation_name
from runlake.server.graphql.schema import load_schema
from runlake.server.http.access_log import AccessLog
from runlake.server.http.artifact_routes import artifact_routes
from runlake.server.http.delivery import deliver
from runlake.server.http.failures import FAILURES
from runlake.server.http.intake import Intake, RequestLimits, Unwelcome
from runlake.server.http.pages import PagesRoute, show_names
from runlake.server.refused import Refused
from runlake.server.runs.files import RunFiles
from runlake.server.runs.runs import Limits, RunStore
from runlake.server.runs.stream import BadBody
from runlake.server.runs.wire_json import read_body, read_stream
from runlake.server.store.database import Database
from runlake.server.store.objects import BrokenUpload, ObjectGone, Storage

# Start of runlake's User-Agent. Unlike the SDK, runlake identifies exports by their objects.
OUR_CLIENT = "runlake/"


class _ObjectConvertor(PathConvertor):
    """A path parameter that also matches line feeds; Starlette's ``path`` stops at a line feed."""

    regex = "(?s:.*)"


register_url_convertor("object", _ObjectConvertor())


@dataclass(frozen=True, slots=True)
class Backend:
    """The database and all stores that one server uses.

    Parameters
    ----------
    database : Database
        Contains the users, and all other data except the bytes of files.
    storage : Storage
        Stores the objects that clients download and upload by signed URLs.
    runs : RunStore
        Runs and their history.
    exports : ExportQueue
        Queue of the runs that wait for an export; no export is written before the queue is started.
    run_files : RunFiles
        Files of runs.
    artifacts : ArtifactStore
        Artifacts that runs logged.
    """

    database: Database
    storage: Storage
    runs: RunStore
    exports: ExportQueue
    run_files: RunFiles
    artifacts: ArtifactStore


def open_backend(
    data_dir: Path,
    storage_url: str,
    *,
    limits: Limits,
    url_expiry: float,
    regions: Collection[str] = REGIONS,
) -> Backend:
    """Open the stores in a data directory; create the directory if it does not exist.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    storage_url : str
        Origin that serves the stored objects.
    limits : Limits
        Limits of runs and their exports.
    url_expiry : float
        Seconds for which a signed URL is valid.
    regions : collection of str
        Names of the storage regions that the creator of an artifact may request. All names stand
        for the storage of this server.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(data_dir / DATABASE)
    storage = Storage(database, data_dir / STORAGE, storage_url, url_expiry)
    exports = ExportQueue(data_dir, limits.export_rows, drops=limits.drops_lines)
    runs = RunStore(database, storage, exports, limits)
    run_files = RunFiles(database, storage)
    artifacts = ArtifactStore(database, storage, regions)
    return Backend(database, storage, runs, exports, run_files, artifacts)


def build_app(
    backend: Backend,
    storage_port: int,
    access_log: Path | None,
    limits: RequestLimits = RequestLimits(),  # noqa: B008 - it cannot be changed
    pages: ASGIApp = show_names,
) -> ASGIApp:
    """Return the ASGI application of a backend; no server or thread is started.

    Parameters
    ----------
    backend : Backend
        The database and the stores of files and runs that the application serves.
    storage_port : int
        Requests to this port read and write stored files; requests to any other port use the API.
    access_log : Path or None
        File to which requests are logged.
    limits : RequestLimits
        Limits of the size and duration of a request.
    pages : ASGIApp
        Application that answers requests for web pages.

    Returns
    -------
    ASGIApp
        The application; an ASGI server that listens on both ports must run it.
    """
    intake = Intake(backend.database, limits)
    api = _Api(backend, intake).app(pages)
    storage = _storage(backend, intake)

    async def by_origin(scope: Scope, receive: Receive, send: Send) -> None:
        is_storage = scope["type"] == "http" and scope["server"][1] == storage_port
        scope["runlake.origin"] = "storage" if is_storage else "api"
        await (storage if is_storage else api)(scope, receive, send)

    return AccessLog(by_origin, access_log)


class _Api:
    """The endpoints of the API origin: GraphQL, file stream, artifacts, web pages and health."""

    def __init__(self, backend: Backend, intake: Intake) -> None:
        self._backend = backend
        self._intake = intake
        self._schema = load_schema()

    def app(self, pages: ASGIApp) -> ASGIApp:
        backend = self._backend
        stream = "/files/{entity}/{project}/{run}/file_stream"
        return Starlette(
            routes=[
                Route("/graphql", self._graphql, methods=["POST"]),
                Route(stream, self._file_stream, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/ready", self._health),
                *artifact_routes(backend.database, backend.artifacts, backend.storage),
                PagesRoute(pages),
            ],
            exception_handlers={404: _not_found, 405: _not_found, **FAILURES},
        )

    async def _graphql(self, request: Request) -> Response:
        # A request without a key may ask for fields that need no user; a wrong key is refused.
        user = await self._intake.admit(request)
        async with self._intake.body(request, user) as content:
            budget = Budget(self._intake.limits.query_timeout)
            # The event loop is free while the request runs in a thread, so it can interrupt that
            # thread.
            late = asyncio.get_running_loop().call_later(budget.seconds, budget.interrupt)
            try:
                return await run_in_threadpool(self._answer, request, content, budget)
            finally:
                late.cancel()

    def _answer(self, request: Request, content: bytes, budget: Budget) -> Response:
        backend = self._backend
        user = self._intake.confirm(request)
        # A list would be several requests within the limits of one.
        if content.lstrip().startswith(b"["):
            return _errors("send each request in a body of its own", 400)
        try:
            body = read_body(content)
        except ValueError as error:
            return _errors(f"the body is no GraphQL request: {error}", 400)
        if not is_request(body):
            return _errors("the body is no GraphQL request", 400)
        request.scope["runlake.operation"] = operation_name(body)
        operation = body.get("operationName") or ""
        context = Context(
            user,
            operation,
            request.headers.get("user-agent", "").startswith(OUR_CLIENT),
            backend.runs,
            backend.run_files,
            backend.artifacts,
            backend.storage,
            budget,
        )
        with budget.interrupting(backend.database.connection()):
            answer = execute(self._schema, body, context)
        return Response(encode_answer(answer, budget), media_type="application/json")

    async def _file_stream(self, request: Request) -> Response:
        # Before the body is read: without a key, nobody can send much.
        user = await self._intake.admit(request)
        if user is None:
            raise Unwelcome(401, "invalid API key")
        if user.name != request.path_params["entity"]:
            raise Unwelcome(403, "permission denied")
        async with self._intake.body(request, user) as content:
            return await run_in_threadpool(self._take_in, request, content)

    def _take_in(self, request: Request, content: bytes) -> Response:
        runs, names = self._backend.runs, request.path_params
        # The key may have been revoked while the body arrived.
        user = self._intake.confirm(request)
        if user is None or user.name != names["entity"]:
            return _errors("permission denied", 403)
        try:
            body = read_stream(content)
        except ValueError as error:
            return _errors(f"the body is no file stream: {error}", 400)
        run = runs.find_small(names["entity"], names["project"], names["run"])
        if run is None:
            return _errors("run not found", 404)
        try:
            is_stopped = runs.stream(run, body)
        except BadBody as error:
            return _errors(str(error), 400)
        except Refused as refused:
            return _errors(str(refused), 404)
        return JSONResponse({"exitcode": None, "limits": {}, "stopped": is_stopped})

    def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")


def _storage(backend: Backend, intake: Intake) -> ASGIApp:
    storage = backend.storage

    async def handle(request: Request) -> Response:
        name = request.path_params["name"]
        number, expires, signature, md5 = (
            request.query_params.get(key, "") for key in ("object", "expires", "signature", "md5")
        )
        if not storage.allows(request.method, name, number, expires, signature, md5):
            if request.method == "PUT":
                # The client may still send a body, and reads the answer only afterwards.
                raise Unwelcome(403, "the URL expired, or was not signed here")
            return PlainTextResponse("The URL expired, or was not signed here.\n", 403)
        if request.method == "PUT":
            try:
                received = await storage.receive(name, number, intake.upload(request), md5)
            except ObjectGone as error:
                raise Unwelcome(404, str(error)) from error
            except BrokenUpload as error:
                return PlainTextResponse(f"{error}\n", 400)
            return Response(headers={"ETag": f'"{received}"'})
        return await run_in_threadpool(lambda: deliver(request, storage.open(name, number)))

    route = Route("/storage/{name:object}", handle, methods=["GET", "HEAD", "PUT"])
    return Starlette(routes=[route], exception_handlers=FAILURES)


def _errors(message: str, status: int) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status)


async def _not_found(_: Request, __: Exception) -> Response:
    return _errors("not found", 404)
