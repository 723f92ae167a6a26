"""Check aliases, tags, names, types and metadata of artifacts, by the SDK's rules."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any

from runlake.errors import InvalidArgument, InvalidType
from runlake.public.json_values import MAX_ARRAY_SIZE

MAX_METADATA_KEYS = 100
MAX_NAME_LENGTH = 128
TAG = re.compile(r"[-\w]+( +[-\w]+)*")
# For collections of these types, the SDK reserves names with these prefixes.
RESERVED = {"job": "", "run_table": "run-", "code": "source-"}
PLAIN = (bool, int, str)


class ArtifactTTL(Enum):
    """Special value of `Artifact.ttl`, which makes the artifact inherit the default TTL."""

    INHERIT = 0


def check_names(names: Iterable[str] | str, argument: str) -> list[str]:
    """Check that names are strings; return a new list of them. A single string becomes a list.

    Raises
    ------
    InvalidArgument
        If a name is not a string.
    """
    if isinstance(names, str):
        return [names]
    try:
        found = list(names)
    except TypeError as error:
        raise InvalidType(f"{argument} must be a list of strings, not {names!r}.") from error
    if not all(isinstance(name, str) for name in found):
        raise InvalidType(f"{argument} must be a list of strings, not {names!r}.")
    return found


def check_aliases(aliases: Iterable[str] | str) -> list[str]:
    """Check aliases, and return them as a new list; a single string becomes a list.

    Raises
    ------
    InvalidArgument
        If an alias is not a string, or contains ``/`` or ``:``.
    """
    found = check_names(aliases, "aliases")
    for alias in found:
        if {"/", ":"} & set(alias):
            raise InvalidArgument(f"Aliases must not contain '/' or ':', but {alias!r} does.")
    return found


def check_tags(tags: Iterable[str] | str) -> list[str]:
    """Check tags, and return them as a new list without duplicates; a single string becomes a list.

    Raises
    ------
    InvalidArgument
        If a tag is not a string, or has characters that are not allowed.
    """
    found = list(dict.fromkeys(check_names(tags, "tags")))
    for tag in found:
        if not TAG.fullmatch(tag):
            raise InvalidArgument(
                f"{tag!r} is not a valid tag. Tags have letters, digits, hyphens and underscores, "
                "and may have spaces inside."
            )
    return found


def check_collection_name(name: str) -> str:
    """Check the name of a collection, and return it.

    Raises
    ------
    InvalidArgument
        If the name is not a string, is empty or too long, or contains a slash.
    """
    if not isinstance(name, str):
        raise InvalidType(f"The name of a collection must be a string, not {name!r}.")
    if not name or len(name) > MAX_NAME_LENGTH or "/" in name:
        raise InvalidArgument(
            f"A collection cannot be named {name[: MAX_NAME_LENGTH + 1]!r}: names have 1 to "
            f"{MAX_NAME_LENGTH} characters and no slash."
        )
    return name


def check_type(type_name: str, collection: str) -> str:
    """Check that an artifact type is not reserved by the SDK, and return the type.

    Raises
    ------
    InvalidArgument
        If the SDK reserves the type for itself.
    """
    prefix = RESERVED.get(type_name)
    is_kept = prefix is not None and collection.startswith(prefix)
    if is_kept or type_name.startswith("wandb-"):
        raise InvalidArgument(
            f"Artifact type {type_name!r} is reserved for W&B's own use. Use another type."
        )
    return type_name


def check_metadata(metadata: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return a copy of metadata, converted to plain JSON values.

    Parameters
    ----------
    metadata : dict, str or None
        A dict, or the JSON text of a dict; None means an empty dict.

    Raises
    ------
    InvalidArgument
        If the metadata is not a dict, contains values that JSON cannot represent, or has more than
        100 keys.

    Examples
    --------
    >>> check_metadata({"loss": float("nan"), "tags": {"a"}, 1: (2,)})
    {'loss': None, 'tags': ['a'], '1': [2]}
    >>> check_metadata('{"rows": 3}')
    {'rows': 3}
    """
    try:
        if isinstance(metadata, str):
            metadata = json.loads(metadata) if metadata else {}
        if metadata is None:
            return {}
        if not isinstance(metadata, dict):
            raise InvalidType(
                f"The metadata of an artifact must be a dict, not {type(metadata).__name__}."
            )
        # NaN is None by now; an infinity is refused, because JSON has no infinities.
        found: dict[str, Any] = json.loads(json.dumps(_plain(metadata), allow_nan=False))
    except InvalidArgument:
        raise
    except RecursionError as error:
        raise InvalidArgument("The metadata holds itself, or is nested too deep.") from error
    except TypeError as error:
        raise InvalidType(f"The metadata cannot be written as JSON: {error}.") from error
    except ValueError as error:
        raise InvalidArgument(f"The metadata cannot be written as JSON: {error}.") from error
    if len(found) > MAX_METADATA_KEYS:
        raise InvalidArgument(
            f"The metadata of an artifact must not have more than {MAX_METADATA_KEYS} keys, found "
            f"{len(found)}."
        )
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, slice):
        return {f"slice_{end}": getattr(value, end) for end in ("start", "step", "stop")}
    if isinstance(value, (set, Sequence)) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    is_plain = value is None or isinstance(value, PLAIN)
    return value if is_plain else _plain_object(value)


def _plain_object(value: Any) -> Any:
    if isinstance(value, (date, Enum, bytes)):
        return _text(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "numpy") and hasattr(value, "shape"):
        value = value.numpy()
    if hasattr(value, "tolist") and hasattr(value, "size") and hasattr(value, "dtype"):
        if value.size > MAX_ARRAY_SIZE:
            return str(value)
        return _plain(value.reshape(-1).tolist()[0] if value.size == 1 else value.tolist())
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    # For built-in objects that JSON cannot represent, the encoder raises TypeError.
    return value if type(value).__module__ == "builtins" else str(value)


def _text(value: date | Enum | bytes) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return value.name if isinstance(value, Enum) else value.decode()
