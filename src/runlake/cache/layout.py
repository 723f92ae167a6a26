"""Compute paths below the cache root; no function here does I/O.

::

    <root>/                                    $WANDB_CACHE_DIR/runlake
      CACHEDIR.TAG                             marks the tree for backup tools to skip
      limits/<digest>.json                     rate limit of an API, shared by all processes
      locks/<00..ff>.lock                      a lock of many runs; names its holder while held
      locks/<00..ff>.lease                     the lock on a network file system, only while held
      locks/<00..ff>.waiting/                  one file per process that waits for the lock
      catalog.sqlite                           facts for planning, of every run and export
      catalog.stale                            the catalog could not be written and lacks facts
      tasks/<token>                            exists while a process waits for tasks of an executor
      v2/<host>/<entity>/<project>/<run>/
        manifest.json                          replaced atomically
        <identity>.parquet                     one version of one export
        <identity>-<random>.parquet            the same version, sparse: only some column chunks
        <object>.<attempt>.part                one attempt's download (see ``exports.download``)
        <kind>-<crc32c>.jsonl.gz               live rows, system metrics, lists of files, artifacts
        files/<digest>                         one version of a pulled file of the run
      artifacts/v1/<host>/<00..ff>/<digest>    the content of an artifact's file, or a manifest
      artifacts/v1/<host>/collections/<collection>/<version>.json  the fields of a pulled version
      artifacts/locks/<00..ff>.lock            a lock of many contents
      media/v1/<host>/<00..ff>/<name>-<sha256> the file of a logged image or other media
      lake/v1/                                 also the packed tables
      lake/v1/snapshots/<name>/                a snapshot: a record, and a tree like this one
      lake/v1/published/<place>/<version>/     a catalog of the runs of a published lake
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from runlake.values import RunPath

LAYOUT_VERSION = "v2"
CONTENT_VERSION = "v1"
PUBLISHED = ("lake", CONTENT_VERSION, "published")
# Maximum length of a file name. File systems allow 255 bytes, some encrypted ones only 143.
MAX_NAME_LENGTH = 120
EXPORT_SUFFIX = ".parquet"
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}$")


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API. Each backend has its own directories.
    run : RunPath
        Path of the run.
    """

    root: Path
    base_url: str
    run: RunPath

    @cached_property
    def path(self) -> Path:
        """The directory with the run's files."""
        return _places(self.root, self.base_url, self.run)[0]

    @property
    def version_root(self) -> Path:
        """The directory of this layout's version; other versions have directories next to it."""
        return self.root / LAYOUT_VERSION

    @cached_property
    def relative(self) -> str:
        """The run's directory relative to the root, with slashes."""
        return self.path.relative_to(self.root).as_posix()

    @cached_property
    def manifest(self) -> Path:
        """The run's manifest file."""
        return _places(self.root, self.base_url, self.run)[1]

    @cached_property
    def lock(self) -> Path:
        """The run's lock file, one of 256; about one run in 256 has the same lock file."""
        # Relative to the root, so that machines that see the shared root at different paths use the
        # same lock.
        place = str(self.path)[len(str(self.root)) + 1 :]
        stripe = hashlib.sha256(place.encode()).hexdigest()[:2]
        return self.root / "locks" / f"{stripe}.lock"


# Cached, because for each cached run of a list, joining paths takes longer than all other work.
@lru_cache(maxsize=1 << 13)
def _places(root: Path, base_url: str, run: RunPath) -> tuple[Path, Path]:
    """Return the directory and the manifest file of a run."""
    names = (_host(base_url), run.entity, run.project, run.run_id)
    path = root.joinpath(LAYOUT_VERSION, *map(safe_name, names))
    return path, path / "manifest.json"


def snapshots_root(root: Path) -> Path:
    """Return the directory of the snapshots of a lake."""
    return root / "lake" / CONTENT_VERSION / "snapshots"


def snapshot_root(root: Path, name: str) -> Path:
    """Return the directory of a snapshot, the root of a separate tree with the same layout."""
    return snapshots_root(root) / safe_name(name)


def published_root(root: Path, url: str) -> Path:
    """Return the directory on this machine for the catalogs of a published lake.

    Each version of the publication has a directory there.
    """
    return root.joinpath(*PUBLISHED, _digest(url))


def is_published_root(root: Path) -> bool:
    """Return whether a path is that of a directory through which a published lake is read.

    The path alone says so: it is ``<place>/<version>`` below ``lake/v1/published``. The manifests
    of such a lake's runs are not on this machine.
    """
    return root.parent.parent.parts[-len(PUBLISHED) :] == PUBLISHED


def limit_file(root: Path, base_url: str, key: str) -> Path:
    """Return the file in which all processes share an API's rate limit.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API.
    key : str
        The API key, because each user has a separate limit. The file name contains only a digest of
        the API and the key.
    """
    return root / "limits" / (_digest(f"{base_url.lower()}\0{key}") + ".json")


def task_mark(root: Path, token: str) -> Path:
    """Return the file that exists while a process waits for tasks of an executor.

    Parameters
    ----------
    root : Path
        Root of the cache.
    token : str
        A random name.
    """
    return root / "tasks" / token


@dataclass(frozen=True, slots=True)
class ContentFile:
    """The paths of a file's content, which is stored once per digest for all artifacts.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API. Content is not shared between backends.
    name : str
        MD5 digest in hex; or another digest in hex, followed by a suffix that names its algorithm.
    """

    root: Path
    base_url: str
    name: str

    @property
    def path(self) -> Path:
        """The file with the content."""
        return _artifacts(self.root, self.base_url) / self.name[:2] / self.name

    @property
    def lock(self) -> Path:
        """The content's lock file, one of 256."""
        digest = self.name.partition(".")[0]
        return self.root / "artifacts" / "locks" / f"{digest[-2:]}.lock"


@dataclass(frozen=True, slots=True)
class ArtifactPlace:
    """The paths of a backend's artifacts.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API.
    """

    root: Path
    base_url: str

    @property
    def collections(self) -> Path:
        """The directory with the fields of pulled versions: one directory per collection."""
        return _artifacts(self.root, self.base_url) / "collections"

    def collection(self, names: tuple[str, str, str]) -> Path:
        """Return the directory of a collection, named by entity, project and collection."""
        return self.collections / _digest("\0".join(names))

    def version(self, names: tuple[str, str, str], artifact_id: str) -> Path:
        """Return the file with the fields of one version of a collection."""
        return self.collection(names) / self.version_name(artifact_id)

    @staticmethod
    def version_name(artifact_id: str) -> str:
        """Return the name of the file that has the fields of a version."""
        return f"{_digest(artifact_id)}.json"

    def content(self, name: str) -> ContentFile:
        """Return the `ContentFile` (the paths in the cache) of the content with this name."""
        return ContentFile(self.root, self.base_url, name)


def _artifacts(root: Path, base_url: str) -> Path:
    return root / "artifacts" / CONTENT_VERSION / safe_name(_host(base_url))


@dataclass(frozen=True, slots=True)
class MediaPlace:
    """The cache's paths for a run's media file; each version of the file has its own path.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API.
    run : RunPath
        The run.
    name : str
        Name of the media file in the run; the cached files have the same suffix.
    """

    root: Path
    base_url: str
    run: RunPath
    name: str

    @property
    def directory(self) -> Path:
        """The directory of the cached files."""
        host = safe_name(_host(self.base_url))
        return self.root / "media" / CONTENT_VERSION / host / self.start[:2]

    @property
    def start(self) -> str:
        """The common beginning of the cached files' names."""
        return _digest("\0".join((*self.run.quoted, self.name)))

    def file_name(self, sha256: str) -> str:
        """Return the name of the cached file for content with the given SHA-256, in hex."""
        found = SUFFIX.search(self.name)
        return f"{self.start}-{sha256}{found[0] if found else ''}"


def export_file_name(
    object_path: str, validator: str, n_bytes: int, *, is_sparse: bool = False
) -> str:
    """Return the file name of one version of an export.

    Parameters
    ----------
    object_path : str
        Path of the export's URL, see `Export.object`.
    validator : str
        ETag or date of the version; empty if the storage host sends neither.
    n_bytes : int
        Length of the export.
    is_sparse : bool
        True for a file that will contain only parts of the export.

    Returns
    -------
    str
        The name of a whole file depends only on the first three arguments. The name of a sparse
        file has the same beginning, then a random part.
    """
    name = _digest("\0".join((object_path, validator, str(n_bytes))))
    # If a lock fails, two processes make sparse files with different chunks. Under one name, the
    # second would replace a file whose chunks a manifest names.
    random = f"-{secrets.token_hex(4)}" if is_sparse else ""
    return f"{name}{random}{EXPORT_SUFFIX}"


def safe_name(name: str) -> str:
    """Encode a name as one path component; different names differ on every file system.

    Separators and leading dots are percent-encoded. If a name contains capitals, a digest is
    appended, because some file systems do not distinguish ``Run`` from ``run``. A name that is too
    long is shortened, and a digest is appended too.

    Examples
    --------
    >>> safe_name("run-1"), safe_name(".."), safe_name("a/b")
    ('run-1', '%2E%2E', 'a%2Fb')
    >>> safe_name("Run") == safe_name("run")
    False
    """
    encoded = quote(name, safe="")
    if not encoded.strip("."):
        encoded = encoded.replace(".", "%2E")
    if len(encoded) > MAX_NAME_LENGTH:
        return f"{encoded[:40].lower()}~{_digest(name)}"
    # Windows drops a final dot. A name with ``~`` could equal another name and its digest.
    if name != name.lower() or "~" in name or encoded.endswith("."):
        return f"{encoded}~{_digest(name)[:8]}"
    return encoded


def _host(base_url: str) -> str:
    parts = urlsplit(base_url)
    return (parts.netloc + parts.path).lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
