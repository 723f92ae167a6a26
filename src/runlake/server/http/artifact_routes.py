"""Routes for artifact files, which the SDK requests when it has no signed URL.

The SDK builds the path from an entry of the manifest: ``/artifactsV2/REGION/ENTITY/PROJECT/
COLLECTION/BIRTH_ARTIFACT/MD5/NAME``, or ``/artifacts/ENTITY/MD5`` in the older storage layout.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from runlake.server.artifacts.artifacts import ArtifactStore
from runlake.server.store.accounts import find_user
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage


def artifact_routes(database: Database, artifacts: ArtifactStore, storage: Storage) -> list[Route]:
    """Return the routes that redirect a request for an artifact file to a signed URL.

    The path of such a request contains the MD5 of the file in hex.

    Parameters
    ----------
    database : Database
        Database in which the user of an API key is looked up.
    artifacts : ArtifactStore
        Finds the files of artifacts.
    storage : Storage
        Signs the URLs.

    Returns
    -------
    list of Route
        Routes of the API's origin.
    """

    def redirect(request: Request, md5: str) -> Response:
        user = find_user(database, request.headers.get("authorization"))
        if user is None:
            return _error("invalid API key", 401)
        found = None
        if user.name == request.path_params["entity"]:
            found = artifacts.contents.object_of(user.name, md5)
        if found is None:
            return _error("artifact file not found", 404)
        return RedirectResponse(storage.sign("GET", found), 302)

    def by_md5(request: Request) -> Response:
        return redirect(request, request.path_params["md5"])

    def by_entry(request: Request) -> Response:
        # BIRTH_ARTIFACT may be empty, so the digest is found from the end of the path.
        parts = request.path_params["rest"].split("/")
        return redirect(request, parts[-2] if len(parts) > 1 else "")

    return [
        Route("/artifacts/{entity}/{md5}", by_md5),
        Route("/artifactsV2/{region}/{entity}/{rest:path}", by_entry),
    ]


def _error(message: str, status: int) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status)
