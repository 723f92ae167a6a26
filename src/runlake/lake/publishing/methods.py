"""`Publishing`: the methods of a lake that publish its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from runlake.errors import InvalidArgument
from runlake.lake.fixed_runs import FixedRuns
from runlake.settings import Settings
from runlake.values import check_word

if TYPE_CHECKING:
    import os

    from runlake.lake.publishing.report import PublishReport
    from runlake.public.files import File

REFUSE = "refuse"


class Publishing:
    """The base class of `LakeRuns` with the methods that publish runs."""

    _settings: Settings

    def publish(
        self,
        dest: str | os.PathLike[str],
        secrets: str = REFUSE,
        *,
        catalog: str | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> PublishReport:
        """Copy the runs to a directory or bucket from which others read them, even without runlake.

        The place gets Iceberg tables: ``metrics_f`` (floats), ``metrics_i`` (integers),
        ``metrics_s`` (strings) and ``metrics_j`` (JSON) with the columns ``key``, ``run``, ``step``
        and ``value``; ``stats`` with a row per key and run; ``runs`` with a row per run. The place
        also gets the file ``lake.json``, which ``Lake(dest)`` opens first. The runs are packed
        before they are published. The runs of this call replace all runs that were published at
        ``dest`` before. Files that have not changed are not uploaded again, and readers see the old
        state until the new state is complete.

        Parameters
        ----------
        dest : path or str
            A directory, or the URL of one in object storage, such as ``s3://bucket/prefix``.
        secrets : {"refuse", "redact", "allow"}
            What to do if config, summary, notes, tags or other fields of the runs have values that
            look like keys, passwords or tokens: raise an error that names the paths of these
            values, replace the values in the publication, or publish them. Histories are not
            checked.
        catalog : str, optional
            The URL of a catalog, if several people publish to one place: ``postgresql://`` for a
            database, or ``https://`` for a REST catalog. The runs of this call are then added to
            the runs that are published there.
        storage_options : dict, optional
            Options of the object storage, with the names that polars uses, such as
            ``aws_endpoint_url``. By default, they are read from the environment
            (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``).

        Returns
        -------
        PublishReport
            What was published. `print` shows it as text.

        Raises
        ------
        InvalidArgument
            If an argument is wrong, ``dest`` has other files, or no run can be published.
        SecretsFound
            If there are values that look like secrets; nothing has been published then.
        MissingExtra
            If the extra ``lake`` is not installed.
        FileTransferError
            If the storage cannot be read or written, or another process published meanwhile.
        CacheError
            If the packed tables of the lake cannot be written, or another process changes the
            published tables at the same time.
        """
        from runlake.lake.copies.copying import place_outside
        from runlake.lake.publishing.catalogs import catalog_properties
        from runlake.lake.publishing.publish import Request, publish
        from runlake.lake.publishing.secrets import POLICIES

        check_word(secrets, "secrets", POLICIES)
        bucket = place_outside(self._settings.cache_dir, dest, storage_options)
        if bucket.directory is not None and bucket.directory.is_file():
            raise InvalidArgument(f"{bucket.place!r} is a file. Name a directory.")
        shared = None if catalog is None else catalog_properties(catalog)
        runs = {run.relative: str(run.path) for run in self._fixed("warn").runs}
        return publish(Request(self._settings, runs, bucket, secrets, shared))

    @overload
    def files(self, pattern: None = None) -> dict[str, list[File]]: ...
    @overload
    def files(self, pattern: str) -> Any: ...
    def files(self, pattern: str | None = None) -> dict[str, list[File]] | list[str]:
        """Return the files of the runs as `Runs.files` does, or the packed data files of a key.

        Parameters
        ----------
        pattern : str, optional
            A pattern of file names, as for `Runs.files`. Or a key of the history: the result is
            then a list of data files for programs that read Parquet, such as DuckDB's
            ``read_parquet``.

        Returns
        -------
        dict or list of str
            The files of each run that was pulled; an `IncompleteWarning` names the runs that were
            not pulled, but only cached by a read. Or the paths or URLs of the packed data files
            that have rows of the key, with the columns ``key``, ``run``, ``step`` and ``value``.
            These files have rows of other keys too. ``run`` is the number of a run; the packed
            table ``runs`` lists the numbers that are current.

        Raises
        ------
        NotCached
            If the runs have the key, but those that have it are not packed. A key with one of the
            characters ``% _ * ? [`` is then taken as a pattern of file names instead. Also if the
            lake is published, and ``pattern`` is not a key of its runs.
        """
        runs = self._fixed("warn")
        if pattern is not None:
            from runlake.lake.publishing.key_files import find_key_files

            found = find_key_files(runs, pattern)
            if found is not None:
                return found
        runs.refuse_if_published("files")
        return runs.files(pattern)

    def _fixed(self, policy: str) -> FixedRuns:
        raise NotImplementedError
