"""Frozen values that every layer may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, quote, unquote, urlsplit

from runlake.errors import InvalidArgument, InvalidType

How = Literal["all", "any"]
KeyKind = Literal["number", "string", "bool", "time", "list", "struct", "media", "mixed"]
Row = dict[str, Any]

STEP = "_step"
RUN_ID = "run_id"

DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
DAY = 24 * 3600
SECONDS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": DAY,
    "w": 7 * DAY,
    "M": 30 * DAY,
    "y": 365 * DAY,
}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")


# What follows the names of entity and project in the URL of a page.
PAGES = frozenset(
    {
        *("artifacts", "groups", "jobs", "launch", "overview", "reports", "runs", "settings"),
        *("sweeps", "table", "weave", "workspace"),
    }
)


def is_url(text: str) -> bool:
    """Tell whether a path is the address of a page; what is no string is none."""
    return str(text).strip().startswith(("https://", "http://"))


def split_url(url: str) -> SplitResult:
    """Return the parts of the address of a page; `InvalidArgument` if it only looks like one."""
    try:
        return urlsplit(check_text(url, "Invalid path:").strip())
    except ValueError as error:
        raise InvalidArgument(f"Invalid path: {url!r} is no URL ({error}).") from None


def url_parts(url: str) -> list[str]:
    """Return the names in the path of a URL, decoded."""
    return [unquote(part) for part in split_url(url).path.split("/") if part]


def check_text(text: str, kind: str) -> str:
    """Return text; `InvalidArgument` if UTF-8, and hence no backend and no file, can carry it.

    Parameters
    ----------
    text : str
        From a caller, or from a command line whose bytes are no UTF-8.
    kind : str
        What stands before it in the error.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{kind} {text!r} is no Unicode text: character {error.start + 1} is half of one, "
            "or a byte that is not UTF-8."
        ) from None
    return text


@dataclass(frozen=True, slots=True)
class RunPath:
    """Where a run lives on a backend.

    Parameters
    ----------
    entity, project, run_id : str
        The three names, not percent-encoded.

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
        """Read one of the forms that W&B accepts.

        Parameters
        ----------
        text : str
            ``entity/project/run_id``, ``entity/project/runs/run_id``, ``entity/project:run_id``,
            ``project/run_id``, ``project:run_id``, ``run_id``, or the URL of a run.
        entity, project : str, optional
            What stands in for the parts that the text leaves out.
        page : {"runs", "sweeps"}
            What a URL must be of.

        Returns
        -------
        RunPath
            The three names.

        Raises
        ------
        InvalidArgument
            If a part is missing, or there are too many.
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
        # A page of the run may follow, and the application may live below a path of its own.
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
        """The three names percent-encoded, as ``Run.path`` shows them."""
        # What a backend calls things need not be Unicode text.
        names = (self.entity, self.project, self.run_id)
        return [quote(name, safe="", errors="surrogatepass") for name in names]

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run_id}"


@dataclass(frozen=True, slots=True)
class ProjectPath:
    """Where a project lives on a backend.

    Parameters
    ----------
    entity : str or None
        None where neither the path nor a setting names one.
    project : str
        The name.

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
        """Read one of the forms that W&B accepts.

        Parameters
        ----------
        text : str or None
            ``entity/project`` or ``project``; None means the configured project, else
            ``uncategorized``. Or the URL of a page of the project, its runs and sweeps included.
        entity, project : str, optional
            What stands in for the parts that the text leaves out.

        Returns
        -------
        ProjectPath
            The two names.

        Raises
        ------
        InvalidArgument
            If there are more parts, or an empty one.
        """
        if text is not None and not isinstance(text, str):
            raise InvalidArgument(f"A project path is a string, not {text!r}.")
        if text is not None and is_url(text):
            return cls._of_url(text)
        named = check_text(text or "", "Invalid path:")
        parts = [part.strip() for part in named.strip().strip("/").split("/")]
        if parts == [""]:
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
    """Where a version of an artifact is found on a backend.

    Parameters
    ----------
    entity, project, collection : str
        The three names, not percent-encoded.
    alias : str
        ``v0``, ``v1``, ..., or an alias such as ``latest``; empty where none was named.

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
        """Read ``entity/project/collection:alias``; what stands in front may be left out.

        Parameters
        ----------
        text : str
            With or without an alias.
        entity, project : str, optional
            What stands in for the parts that the text leaves out.

        Returns
        -------
        ArtifactPath
            The names.

        Raises
        ------
        InvalidArgument
            If a part is missing, or there are too many.
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
        """Collection and alias, as ``Artifact.name`` shows them."""
        return f"{self.collection}:{self.alias}" if self.alias else self.collection

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"


@dataclass(frozen=True, slots=True)
class StepRange:
    """Steps from ``start``, inclusive, to ``stop``, exclusive; no ``stop`` means open.

    Examples
    --------
    >>> StepRange.from_arguments(100, 102)
    StepRange(start=100, stop=102)
    >>> StepRange.from_arguments(-5, None).start
    0
    """

    start: int = 0
    stop: int | None = None

    @classmethod
    def from_arguments(cls, min_step: int | None, max_step: int | None) -> StepRange:
        """Check the two arguments that every reader takes.

        Parameters
        ----------
        min_step : int or None
            First step, inclusive; None and negative values mean the first step of the run.
        max_step : int or None
            Step to stop before, exclusive; None means no limit.

        Returns
        -------
        StepRange
            Never negative; empty where ``max_step <= min_step``.

        Raises
        ------
        InvalidArgument
            If a step is not an integer.
        """
        start = 0 if min_step is None else _whole(min_step, "min_step")
        stop = None if max_step is None else _whole(max_step, "max_step")
        return cls(max(start, 0), stop)

    @property
    def is_empty(self) -> bool:
        """No step can be in the range."""
        return self.stop is not None and self.stop <= self.start

    def holds(self, step: int) -> bool:
        """Tell whether a step is in the range."""
        return step >= self.start and (self.stop is None or step < self.stop)

    def touches(self, first: int, last: int) -> bool:
        """Tell whether a step of ``first..last``, both inclusive, can be in the range."""
        return not self.is_empty and last >= self.start and (self.stop is None or first < self.stop)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether all steps of ``first..last``, both inclusive, are in the range."""
        return self.holds(first) and self.holds(last)

    def __str__(self) -> str:
        return f"[{self.start}, {'end' if self.stop is None else self.stop})"


@dataclass(frozen=True, slots=True)
class Projection:
    """The keys to read and what a row must have of them.

    Parameters
    ----------
    keys : tuple of str or None
        The keys besides ``_step``, in the order asked for, each once; None means every key.
    how : {"all", "any"}
        Keep rows that have all of the keys, or at least one. Without keys, every row.
    """

    keys: tuple[str, ...] | None = None
    how: How = "all"

    @classmethod
    def from_arguments(cls, keys: Sequence[str] | None, how: str = "all") -> Projection:
        """Check the two arguments that every reader takes.

        Parameters
        ----------
        keys : list of str or None
            Keys to read; None and an empty list mean every key, as in the SDK.
        how : str
            "all" or "any".

        Returns
        -------
        Projection
            With ``_step`` and doubles taken out of the keys.

        Raises
        ------
        InvalidArgument
            If the keys are not a list of strings, or ``how`` is neither word.
        """
        if how not in get_args(How):
            raise InvalidArgument(f"how must be 'all' or 'any', not {how!r}.")
        if keys is None:
            return cls(None, "all")
        if not isinstance(keys, (list, tuple)):
            raise InvalidArgument(f"keys must be specified in a list, not {keys!r}.")
        wrong = [key for key in keys if not isinstance(key, str)]
        if wrong:
            raise InvalidArgument(f"keys argument must be a list of strings, found {wrong[0]!r}.")
        for key in keys:
            check_text(key, "The key")
        if not keys:
            return cls(None, "all")
        named = tuple(key for key in dict.fromkeys(keys) if key != STEP)
        return cls(named, "any" if how == "any" else "all")


def check_count(value: int, name: str) -> int:
    """Return a number of things; `InvalidArgument` unless it is an integer of at least 1."""
    number = _whole(value, name)
    if number < 1:
        raise InvalidArgument(f"{name} must be 1 or more, not {value!r}.")
    return number


def check_seconds(seconds: Any, name: str) -> None:
    """Raise `InvalidArgument` unless a time to wait is a number above 0.

    Examples
    --------
    >>> check_seconds(0, "poll")
    Traceback (most recent call last):
        ...
    runlake.errors.InvalidArgument: poll must be a number of seconds above 0, not 0.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not (is_number and 0 < seconds < math.inf):
        raise InvalidArgument(f"{name} must be a number of seconds above 0, not {seconds!r}.")


def check_word(word: str, name: str, words: tuple[str, ...]) -> str:
    """Return one of some words; `InvalidArgument` for any other."""
    if word not in words:
        raise InvalidArgument(f"{name} must be {' or '.join(map(repr, words))}, not {word!r}.")
    return word


def parse_bytes(value: str | int, name: str = "size") -> int:
    """Read a size.

    Parameters
    ----------
    value : str or int
        Bytes, or a number with a unit: decimal (``kB``, ``MB``, ``GB``, ``TB``, ``PB``) or binary
        (``KiB``, ``MiB``, ...), in any case, with or without a space or the final ``B``.
    name : str
        What to call the value in the error.

    Returns
    -------
    int
        Bytes, 0 or more; a broken byte is rounded down.

    Raises
    ------
    InvalidArgument
        If that is no size.

    Examples
    --------
    >>> parse_bytes("20GB"), parse_bytes("512 MiB"), parse_bytes(100)
    (20000000000, 536870912, 100)
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        number, unit = found.groups()
        unit = unit.lower().removesuffix("b")
        scale = BINARY.get(unit[:-1]) if unit.endswith("i") else DECIMAL.get(unit)
        if scale is not None:
            return math.floor(Decimal(number) * scale)
    raise InvalidArgument(
        f"{name} must be a number of bytes, such as 1000000, '20GB' or '512 MiB', not {value!r}."
    )


def parse_age(value: str | float, name: str = "age") -> float:
    """Read a length of time.

    Parameters
    ----------
    value : str, int or float
        Seconds, or a number with a unit: ``s``, ``m`` (minutes), ``h``, ``d``, ``w``, ``M`` (months
        of 30 days) or ``y`` (years of 365 days). The case matters: ``6m`` is minutes.
    name : str
        What to call the value in the error.

    Returns
    -------
    float
        Seconds, 0 or more.

    Raises
    ------
    InvalidArgument
        If that is no length of time.

    Examples
    --------
    >>> parse_age("90s"), parse_age("8h"), parse_age("7d") == parse_age("1w")
    (90.0, 28800.0, True)
    >>> parse_age("6M") / parse_age("1d")
    180.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None and (scale := SECONDS.get(found[2] or "s")) is not None:
        return float(found[1]) * scale
    raise InvalidArgument(
        f"{name} must be a number of seconds or one with a unit, such as '90s', '8h', '7d', '6M' "
        f"(months) or '1y', not {value!r}."
    )


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool):
        raise InvalidArgument(f"{name} must be an integer, not {value!r}.")
    if isinstance(value, int):
        return value
    index = getattr(value, "__index__", None)
    if index is None:
        raise InvalidArgument(f"{name} must be an integer, not {value!r}.")
    return int(index())
