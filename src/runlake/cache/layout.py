"""Every path below the cache root, from values to ``Path`` (pure).

::

    <root>/                                    $WANDB_CACHE_DIR/runlake
      CACHEDIR.TAG                             tells backup tools to skip the tree
      limits/<digest>.json                     what all processes know of an API's rate limit
      locks/<00..ff>.lock                      striped by run; while held, its content says by whom
      locks/<00..ff>.lease                     the same on a network file system, only while held
      locks/<00..ff>.waiting/                  one file per process in line, only while there is one
      catalog.sqlite                           what planning needs of every run and export
      v2/<host>/<entity>/<project>/<run>/
        manifest.json                          replaced atomically
        <identity>.parquet                     one version of one export
        <identity>-<random>.parquet            the same, of which only column chunks are there
        <object>.<attempt>.part                one attempt's download (see ``exports.part``)
      artifacts/v1/<host>/<00..ff>/<md5>       the content of an artifact's file
      artifacts/locks/<00..ff>.lock            striped by content
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit

from runlake.values import RunPath

LAYOUT_VERSION = "v2"
CONTENT_VERSION = "v1"
MAX_NAME_LENGTH = 120
EXPORT_SUFFIX = ".parquet"


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API: two backends never share a directory.
    run : RunPath
        The run.
    """

    root: Path
    base_url: str
    run: RunPath

    @cached_property
    def path(self) -> Path:
        """The directory with the run's files."""
        host = _host(self.base_url)
        names = (host, self.run.entity, self.run.project, self.run.run_id)
        return self.version_root.joinpath(*map(safe_name, names))

    @property
    def version_root(self) -> Path:
        """The directory of this layout; older ones stand beside it."""
        return self.root / LAYOUT_VERSION

    @property
    def relative(self) -> str:
        """The directory below the root, with slashes."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def manifest(self) -> Path:
        """The manifest of the run."""
        return self.path / "manifest.json"

    @property
    def lock(self) -> Path:
        """The lock file that this run shares with one run of 256."""
        stripe = hashlib.sha256(str(self.path.relative_to(self.root)).encode()).hexdigest()[:2]
        return self.root / "locks" / f"{stripe}.lock"


def limit_file(root: Path, base_url: str, key: str) -> Path:
    """Return the file in which all processes keep what they know of an API's rate limit.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API.
    key : str
        The API key, for limits count per user; the name holds a digest of both only.

    Returns
    -------
    Path
        The same for every process of one user of one API.
    """
    return root / "limits" / (_digest(f"{base_url.lower()}\0{key}") + ".json")


@dataclass(frozen=True, slots=True)
class ContentFile:
    """The paths of one content: bytes under their MD5, whichever artifacts hold them.

    Parameters
    ----------
    root : Path
        Root of the cache.
    base_url : str
        Root of the API: what one backend sent is never given out for another's.
    md5 : str
        Digest in hex.
    """

    root: Path
    base_url: str
    md5: str

    @property
    def path(self) -> Path:
        """The file with the content."""
        host = safe_name(_host(self.base_url))
        return self.root / "artifacts" / CONTENT_VERSION / host / self.md5[:2] / self.md5

    @property
    def lock(self) -> Path:
        """The lock file that this content shares with one of 256."""
        return self.root / "artifacts" / "locks" / f"{self.md5[-2:]}.lock"


def export_file_name(
    object_path: str, validator: str, n_bytes: int, *, is_sparse: bool = False
) -> str:
    """Return the file name of one version of an export.

    Parameters
    ----------
    object_path : str
        URL without its signature.
    validator : str
        ETag or date; empty where the storage host gives none.
    n_bytes : int
        Length of the file.
    is_sparse : bool
        Only a part of it will be there.

    Returns
    -------
    str
        Equal exactly for equal versions of the same object; a sparse file's is like no other.
    """
    name = _digest("\0".join((object_path, validator, str(n_bytes))))
    random = f"-{secrets.token_hex(4)}" if is_sparse else ""
    return f"{name}{random}{EXPORT_SUFFIX}"


def safe_name(name: str) -> str:
    """Encode any name as one path component, distinct on every file system.

    Percent-encoding keeps separators and dots out; a name with capitals carries a digest, because
    some file systems hold ``Run`` and ``run`` for the same; an over-long name becomes its digest.

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
    if name != name.lower() or "~" in name or encoded.endswith("."):
        return f"{encoded}~{_digest(name)[:8]}"
    return encoded


def _host(base_url: str) -> str:
    parts = urlsplit(base_url)
    return (parts.netloc + parts.path).lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
