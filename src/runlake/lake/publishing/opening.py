"""Recognise arguments of `Lake` that name a published lake, and return the settings to read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from runlake.errors import InvalidArgument, OfflineError
from runlake.lake.bucket import Bucket
from runlake.settings import Settings, load_settings
from runlake.values.local_paths import local_path

# The same as in `publication`; importing that module would load many other modules.
NAME = "lake.json"


def published_place(path: object, storage_options: Mapping[str, str] | None) -> Bucket | None:
    """Return the bucket of a published lake; None if ``path`` names no published lake.

    A URL always names a published lake; a directory does if it has a ``lake.json``.

    Raises
    ------
    InvalidArgument
        If a URL does not name object storage, no file system allows the path, or options are given
        without a URL.
    """
    if isinstance(path, str) and "://" in path:
        return Bucket.at(path, storage_options)
    if storage_options is not None:
        raise InvalidArgument("storage_options are for a lake with a URL, such as s3://bucket.")
    if isinstance(path, (str, os.PathLike)) and str(path):
        directory = local_path(path, "path")
        if (directory / NAME).is_file():
            return Bucket.at(directory)
    return None


def published_settings(bucket: Bucket, at: str | None, *, offline: bool | None) -> Settings:
    """Return the settings for reading the current state of a published lake.

    Raises
    ------
    InvalidArgument
        If ``at`` names a snapshot, because a published lake has no snapshots.
    OfflineError
        If offline mode is on, and the lake is not on this machine.
    """
    from runlake.lake.publishing.remote import open_published

    if at is not None:
        raise InvalidArgument(
            f"The published lake at {bucket.place!r} has no snapshots. Leave out at={at!r}; to "
            f"publish a snapshot, use runlake.Lake(at={at!r}).publish(...)."
        )
    if bucket.directory is None and load_settings(offline=offline).offline:
        raise OfflineError(
            f"The published lake at {bucket.place!r} cannot be read in offline mode. Unset "
            "RUNLAKE_OFFLINE, or pass offline=False.",
            operation="Lake",
            origin=bucket.url,
        )
    # Offline, because a read of a published lake must send no request to a backend.
    settings = load_settings(offline=True)
    root = open_published(bucket, settings.cache_dir)
    return replace(settings, cache_dir=root, api_key=None)
