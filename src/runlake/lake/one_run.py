"""Find one run of a lake by its path, its id, or the URL of its web page."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runlake.errors import InvalidArgument, InvalidType, NotCached
from runlake.lake.packed.elsewhere import shown_place
from runlake.lake.query.run_fields import app_url
from runlake.lake.query.selection import LakeRun, all_names
from runlake.values import is_url

SHOWN_PATHS = 5


def find_one(runs: Sequence[LakeRun], path: str, root: Path) -> LakeRun:
    """Return the run that a path, an id or a URL names.

    Parameters
    ----------
    runs : sequence of LakeRun
        The runs of the lake.
    path : str
        ``entity/project/run_id``, ``run_id``, the name of a run in the column ``run_id``, or the
        URL of the run's page.
    root : Path
        Root of the cache, which error messages name.

    Raises
    ------
    InvalidArgument
        If several runs have this id, or ``path`` has none of these forms.
    NotCached
        If the lake has no such run.
    """
    if not isinstance(path, str):
        raise InvalidType(f"The path of a run must be text, not {path!r}.")
    wanted = path.strip().strip("/")
    if not wanted:
        raise InvalidArgument("The path of a run must not be empty.")
    if is_url(path):
        wanted = _path_of_page(path)
    named = [
        run
        for run in runs
        if wanted in (run.run_id, run.path.run_id)
        or ("/" in wanted and wanted in all_names(run.directory.base_url, *_parts(run)))
    ]
    if is_url(path):
        # Runs of two backends may have the same path. A backend may show its pages at another host
        # than that of its API.
        host = urlsplit(path).netloc
        pages = (run.directory.base_url for run in named)
        hosts = [{urlsplit(page).netloc, urlsplit(app_url(page)).netloc} for page in pages]
        named = [run for run, known in zip(named, hosts, strict=True) if host in known]
    if len(named) == 1:
        return named[0]
    if named:
        shown = ", ".join(repr(run.run_id) for run in named[:SHOWN_PATHS])
        raise InvalidArgument(f"{len(named):,} runs have the path {path!r}. Name one: {shown}.")
    known = dict.fromkeys(name for run in runs for name in (run.path.run_id, str(run.path)))
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise NotCached(
        f"There is no run {path!r} in the lake at {shown_place(root)!r}.{hint} Pull it once to "
        "read it here.",
        path=str(root),
    )


def _parts(run: LakeRun) -> tuple[str, str, str]:
    return run.path.entity, run.path.project, run.path.run_id


def _path_of_page(url: str) -> str:
    parts = [unquote(part) for part in urlsplit(url).path.split("/") if part]
    if "runs" not in parts[2:-1]:
        raise InvalidArgument(f"{url!r} is not the URL of a run's page.")
    at = parts.index("runs", 2)
    return "/".join([*parts[at - 2 : at], parts[at + 1]])
