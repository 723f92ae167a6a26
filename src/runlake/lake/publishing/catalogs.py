"""Build the properties with which pyiceberg opens a catalog and an object storage."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from runlake.errors import InvalidArgument, InvalidType, MissingExtra
from runlake.lake.bucket import Bucket

# Options of object storage, each with pyiceberg's name for it.
OF_S3 = {
    "aws_access_key_id": "s3.access-key-id",
    "aws_secret_access_key": "s3.secret-access-key",
    "aws_session_token": "s3.session-token",
    "aws_region": "s3.region",
    "aws_endpoint_url": "s3.endpoint",
}
DRIVERS = ("psycopg", "psycopg2", "pg8000")
POSTGRES = ("postgresql", "postgres")


def storage_properties(bucket: Bucket) -> dict[str, str]:
    """Return the properties with which pyiceberg reads and writes the files of a bucket."""
    options = bucket.options
    found = {ours: options[theirs] for theirs, ours in OF_S3.items() if theirs in options}
    if options.get("aws_skip_signature", "").lower() == "true":
        found["s3.anonymous"] = "true"
    return found


def catalog_properties(url: Any) -> dict[str, str]:
    """Return the properties with which pyiceberg opens a catalog.

    Parameters
    ----------
    url : str
        ``postgresql://user@host/database``, or ``https://host`` of a REST catalog.

    Raises
    ------
    InvalidArgument
        If the URL has neither form.
    MissingExtra
        If no driver for PostgreSQL is installed.
    """
    if not isinstance(url, str):
        raise InvalidType(f"catalog must be the URL of a catalog, not {type(url).__name__}.")
    scheme = urlsplit(url).scheme
    if scheme in {"http", "https"}:
        return {"type": "rest", "uri": url}
    kind, _, driver = scheme.partition("+")
    if kind not in POSTGRES:
        raise InvalidArgument(
            f"A catalog has a URL that begins with postgresql:// or https://, not "
            f"{scheme or 'a path'!r}. Leave it out if nobody else publishes to the same place."
        )
    rest = url.removeprefix(scheme)
    return {
        "type": "sql",
        "uri": f"postgresql+{driver or _installed_driver()}{rest}",
        # The catalog's own tables are created later, by code that allows for other writers.
        "init_catalog_tables": "false",
    }


def _installed_driver() -> str:
    for name in DRIVERS:
        if find_spec(name) is not None:
            return name
    raise MissingExtra(
        "A catalog in PostgreSQL needs one of its drivers. Install one with 'pip install "
        "psycopg[binary]', or 'pip install pg8000'.",
        extra="lake",
    )
