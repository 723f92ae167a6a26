"""Refuse or redact values that look like secrets in the fields of runs to publish."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from runlake.cache.strict_json import strict_json
from runlake.errors import SecretsFound
from runlake.lake.publishing.secrets import (
    ALLOW,
    REDACTED,
    REFUSE,
    find_secrets,
    is_secret,
    redacted,
)

DOCUMENTS = ("config", "summary", "attrs")
TEXTS = ("name", "notes", "grp", "job_type", "user", "sweep")
SHOWN = 10

Fields = Mapping[str, Any]


def checked_fields(runs: pl.DataFrame, policy: str) -> tuple[pl.DataFrame, list[str]]:
    """Find values that look like secrets in the fields of runs, and apply a policy to these values.

    Parameters
    ----------
    runs : DataFrame
        Rows of the packed table ``runs``.
    policy : {"refuse", "redact", "allow"}
        What to do with values that look like keys, passwords or tokens.

    Returns
    -------
    tuple of DataFrame and list of str
        The table, in which secrets are replaced if the policy is "redact", and the paths of the
        values that were replaced.

    Raises
    ------
    SecretsFound
        If the policy is "refuse" and there are such values.
    """
    if policy == ALLOW:
        return runs, []
    rows = runs.select(
        "entity", "project", "run_id", "tags", "exact", *DOCUMENTS, *TEXTS
    ).to_dicts()
    found = {place: list(_secrets_of(row)) for place, row in enumerate(rows)}
    paths = [
        f"{row['entity']}/{row['project']}/{row['run_id']}: {path}"
        for place, row in enumerate(rows)
        for path in found[place]
    ]
    if not paths:
        return runs, []
    if policy == REFUSE:
        raise _refusal(paths)
    changed = {place: _redacted(rows[place]) for place in found if found[place]}
    columns = [
        pl.Series(
            name,
            [changed[at][name] if at in changed else rows[at][name] for at in range(len(rows))],
            pl.String,
        )
        for name in ("tags", "exact", *DOCUMENTS, *TEXTS)
    ]
    return runs.with_columns(columns), paths


def _refusal(paths: list[str]) -> SecretsFound:
    shown = "; ".join(paths[:SHOWN])
    more = f"; and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else ""
    values = "1 value looks" if len(paths) == 1 else f"{len(paths):,} values look"
    return SecretsFound(
        f"{values} like keys, passwords or tokens: {shown}{more}. Nothing was published. Remove "
        "them from the runs, publish with secrets='redact' to replace them, or with "
        "secrets='allow' if they are none.",
        paths=tuple(paths),
    )


def _documents_of(row: Fields) -> dict[str, Any]:
    # `exact` has the documents if strict JSON cannot, for example because of NaN.
    if row["exact"] is not None:
        found: dict[str, Any] = json.loads(row["exact"])
        return found
    return {name: json.loads(row[name] or "{}") for name in DOCUMENTS}


def _secrets_of(row: Fields) -> Iterator[str]:
    for name, document in _documents_of(row).items():
        yield from find_secrets(name, document)
    yield from find_secrets("tags", json.loads(row["tags"] or "[]"))
    yield from (name for name in TEXTS if is_secret("", row[name]))


def _redacted(row: Fields) -> dict[str, Any]:
    documents = {name: redacted(name, one) for name, one in _documents_of(row).items()}
    return {
        **{name: strict_json(one) for name, one in documents.items()},
        "exact": None if row["exact"] is None else json.dumps(documents),
        "tags": strict_json(redacted("tags", json.loads(row["tags"] or "[]"))),
        **{name: REDACTED if is_secret("", row[name]) else row[name] for name in TEXTS},
    }
