"""Paths of runs, projects and artifacts, parsed from the forms that people write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, unquote, urlsplit

from runlake.errors import InvalidArgument, InvalidType
from runlake.values.arguments import check_text

# The path segments that can follow entity and project in the URL of a page of the web application.
PAGES = frozenset(
    {
        *("artifacts", "groups", "jobs", "launch", "overview", "reports", "runs", "settings"),
        *("sweeps", "table", "weave", "workspace"),
    }
)


def is_url(text: str) -> bool:
    """Return whether a path is an http(s) URL; the argument may be any object."""
    return str(text).strip().startswith(("https://", "http://"))


def split_url(url: str) -> SplitResult:
    """Split the URL of a web page; raise `InvalidArgument` if it cannot be parsed."""
    try:
        return urlsplit(check_text(url, "Invalid path:").strip())
    except ValueError as error:
        raise InvalidArgument(f"Invalid path: {url!r} is no URL ({error}).") from None


def url_parts(url: str) -> list[str]:
    """Return the segments of a URL's path, percent-decoded and without empty segments."""
    return [unquote(part) for part in split_url(url).path.split("/") if part]


# Cached, because a table of many runs needs the URL of each run.
@lru_cache(maxsize=1 << 13)
def _quoted(name: str) -> str:
    # Names from a backend may contain lone surrogates (JSON escapes), which do not encode.
    return quote(name, safe="", errors="surrogatepass")


@dataclass(frozen=True, slots=True)
class RunPath:
    """The path of a run: entity, project and run id.

    Parameters
    ----------
    entity, project, run_id : str
        Not percent-encoded.

    Examples
    --------
    >>> str(RunPath.parse("team/proj/abc123"))
    'team/proj/abc123'
    >>> RunPath.parse("abc123", entity="team", project="proj").run_id
    'abc123'
    >>> str(RunPath.parse("https://wandb.ai/team/proj/runs/abc123/overview"))
    'team/proj/abc123'
    """

    entity: str
    project: str
    run_id: str

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        entity: str | None = None,
        project: str | None = None,
        page: str = "runs",
    ) -> RunPath:
        """Parse a run path in any form that W&B accepts.

        Parameters
        ----------
        text : str
            ``entity/project/run_id``, ``entity/project/runs/run_id``, ``entity/project:run_id``,
            ``project/run_id``, ``project:run_id``, ``run_id``, or the URL of a run.
        entity, project : str, optional
            Defaults for the names that the text leaves out.
        page : {"runs", "sweeps"}
            Segment of the URL before the id: "runs" for the page of a run, "sweeps" for the page of
            a sweep.

        Raises
        ------
        InvalidArgument
            If a name is missing, or there are too many.
        """
        if not isinstance(text, str):
            raise InvalidArgument(f"A run path is a string, not {text!r}.")
        if is_url(text):
            return cls._of_url(text, page)
        check_text(text, "Invalid path:")
        trimmed = re.sub(r"/(runs|sweeps)/", "/", text.strip().strip("/"))
        parts = [part for part in re.split(r"[/:]", trimmed) if part]
        if not parts or len(parts) > 3:  # noqa: PLR2004 - entity, project, run id
            raise InvalidArgument(
                f"Invalid path: {text!r}. A run path reads 'entity/project/run_id'."
            )
        names = [entity, project, None]
        names[3 - len(parts) :] = parts
        for name, kind in zip(names, ("entity", "project", "run id"), strict=True):
            if not name:
                raise InvalidArgument(
                    f"Invalid path: {text!r} (missing {kind}). "
                    f"Write 'entity/project/run_id', or set WANDB_{kind.upper()}."
                )
        return cls(*(str(name) for name in names))

    @classmethod
    def _of_url(cls, url: str, page: str) -> RunPath:
        # Search for the segment "runs": a page of the run may follow the run id, and a self-hosted
        # application may be served below a path prefix.
        parts = url_parts(url)
        for place, part in enumerate(parts[2:-1], start=2):
            if part == page:
                return cls(parts[place - 2], parts[place - 1], parts[place + 1])
        kind = page.removesuffix("s")
        raise InvalidArgument(
            f"Invalid path: {url!r} is no URL of a {kind}, which ends in "
            f"'entity/project/{page}/{kind}_id'."
        )

    @property
    def quoted(self) -> list[str]:
        """Entity, project and run id, percent-encoded, as in ``Run.path``."""
        return [_quoted(name) for name in (self.entity, self.project, self.run_id)]

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run_id}"


@dataclass(frozen=True, slots=True)
class ProjectPath:
    """The path of a project: entity and project.

    Parameters
    ----------
    entity : str or None
        None if neither the path nor a setting names an entity. The backend's default entity for the
        API key is then used.
    project : str
        Not percent-encoded.

    Examples
    --------
    >>> ProjectPath.parse("team/proj")
    ProjectPath(entity='team', project='proj')
    >>> ProjectPath.parse("proj", entity="me").entity
    'me'
    """

    entity: str | None
    project: str

    @classmethod
    def parse(
        cls, text: str | None, *, entity: str | None = None, project: str | None = None
    ) -> ProjectPath:
        """Parse a project path in any form that W&B accepts.

        Parameters
        ----------
        text : str or None
            ``entity/project``, ``project``, or the URL of a page of the project or of one of its
            runs or sweeps. None or an empty text means the argument ``project``, or if that is
            empty too, ``uncategorized``.
        entity, project : str, optional
            Defaults for the names that the text leaves out.

        Raises
        ------
        InvalidArgument
            If the text has more than two names or an empty name, or is a URL without a project.
        """
        if text is not None and not isinstance(text, str):
            raise InvalidArgument(f"A project path is a string, not {text!r}.")
        if text is not None and is_url(text):
            return cls._of_url(text)
        named = check_text(text or "", "Invalid path:")
        parts = [part.strip() for part in named.strip().strip("/").split("/")]
        if parts == [""]:
            # The SDK logs runs without a project to this one.
            return cls(entity, project or "uncategorized")
        if len(parts) > 2 or not all(parts):  # noqa: PLR2004 - entity, project
            raise InvalidArgument(
                f"Invalid path: {text!r}. A project path reads 'entity/project' or 'project'."
            )
        return cls(parts[0] if len(parts) == 2 else entity, parts[-1])  # noqa: PLR2004

    @classmethod
    def _of_url(cls, url: str) -> ProjectPath:
        parts = url_parts(url)
        stop = next((at for at, part in enumerate(parts) if at > 1 and part in PAGES), len(parts))
        if stop < 2:  # noqa: PLR2004 - entity, project
            raise InvalidArgument(
                f"Invalid path: {url!r} is no URL of a project, which ends in 'entity/project'."
            )
        return cls(parts[stop - 2], parts[stop - 1])


@dataclass(frozen=True, slots=True)
class ArtifactPath:
    """The path of an artifact version: entity, project, collection and alias.

    Parameters
    ----------
    entity, project, collection : str
        Not percent-encoded.
    alias : str
        ``v0``, ``v1``, ..., or an alias such as ``latest``; empty if the path has none.

    Examples
    --------
    >>> ArtifactPath.parse("team/proj/data:v3").alias
    'v3'
    >>> str(ArtifactPath.parse("data", entity="team", project="proj"))
    'team/proj/data'
    """

    entity: str
    project: str
    collection: str
    alias: str = ""

    @classmethod
    def parse(
        cls, text: str, *, entity: str | None = None, project: str | None = None
    ) -> ArtifactPath:
        """Parse ``entity/project/collection:alias``; entity, project and alias are optional.

        Parameters
        ----------
        text : str
            Path of an artifact, with or without an alias.
        entity, project : str, optional
            Defaults for the names that the text leaves out.

        Raises
        ------
        InvalidArgument
            If a name is missing, or there are too many.
        """
        if not isinstance(text, str):
            raise InvalidType(f"The name of an artifact is a string, not {text!r}.")
        path, _, alias = check_text(text, "Invalid artifact path:").strip().partition(":")
        parts = path.removeprefix("/").split("/")
        if not all(parts) or len(parts) > 3:  # noqa: PLR2004 - entity, project, collection
            raise InvalidArgument(
                f"Invalid artifact path: {text!r}. It reads 'entity/project/collection:alias'."
            )
        names = [entity, project, None]
        names[3 - len(parts) :] = parts
        for name, kind in zip(names[:2], ("entity", "project"), strict=True):
            if not name:
                raise InvalidArgument(
                    f"Invalid artifact path: {text!r} (missing {kind}). "
                    f"Write 'entity/project/collection:alias', or set WANDB_{kind.upper()}."
                )
        return cls(str(names[0]), str(names[1]), str(names[2]), alias)

    @property
    def name(self) -> str:
        """``collection:alias``, as in ``Artifact.name``; only ``collection`` without an alias."""
        return f"{self.collection}:{self.alias}" if self.alias else self.collection

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"
