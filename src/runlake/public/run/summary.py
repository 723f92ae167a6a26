"""The summary of a run: a mapping whose changes can be sent to the backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from runlake.errors import InvalidType
from runlake.errors.screen import for_screen, one_line
from runlake.public.json_values import key_text, to_json_value


class Origin:
    """The whole summary of a run; the views of all parts of the summary share this object.

    Parameters
    ----------
    values : dict
        All values of the summary, by key.
    send : callable
        Writes all values to the backend.
    """

    def __init__(self, values: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
        self.values = values
        self.locked: dict[tuple[str, ...], set[str]] = {}
        self._send = send

    def send(self) -> None:
        """Write all values to the backend with one request."""
        self._send(self.values)


class SummaryView(MutableMapping[str, Any]):
    """A view of a part of a summary: of the mapping under one key, or of the whole summary.

    Values can be read as items and as attributes. An assignment changes only this object; `update`,
    and the assignment of a dict, send the whole summary to the backend.

    Parameters
    ----------
    origin : Origin
        The whole summary, which contains the part.
    path : tuple of str
        Keys from the whole summary down to the part.
    values : dict
        The values of the part. The dict is shared, not copied.
    """

    _origin: Origin
    _path: tuple[str, ...]
    _json_dict: dict[str, Any]
    _locked: set[str]

    def __init__(self, origin: Origin, path: tuple[str, ...], values: dict[str, Any]) -> None:
        self._origin = origin
        self._path = path
        self._json_dict = values
        # Kept in the origin, because every access to a nested mapping makes a new view.
        self._locked = origin.locked.setdefault(path, set())

    def update(  # type: ignore[override]  # the SDK's signature
        self, key_vals: Mapping[str, Any] | None = None, overwrite: bool = True
    ) -> None:
        """Set values, and send the whole summary with one request.

        Parameters
        ----------
        key_vals : mapping, optional
            New values by key; if omitted, the current values are sent.
        overwrite : bool
            If False, keys that were set earlier through this object keep their values.

        Raises
        ------
        InvalidType
            If a value cannot be written as JSON; no value is changed.
        BackendError
            If the backend refuses; this object keeps the new values.
        """
        if key_vals is not None and not isinstance(key_vals, Mapping):
            raise InvalidType(f"The new values of a summary must be a mapping, not {key_vals!r}.")
        given = {key_text(key, "The summary"): value for key, value in (key_vals or {}).items()}
        wanted = {
            key: value for key, value in given.items() if overwrite or key not in self._locked
        }
        # All values are encoded before any is set, so that a wrong value changes nothing.
        self._json_dict.update({key: self._encoded(key, value) for key, value in wanted.items()})
        self._locked.update(wanted if overwrite else ())
        self._origin.send()

    def get(self, k: str, default: Any = None) -> Any:
        """Return the value of a key; if the summary does not have the key, the default."""
        try:
            return self[k]
        except KeyError:
            return default

    def __getitem__(self, key: str) -> Any:
        found = self._json_dict[self._known(key)]
        if not isinstance(found, dict):
            return found
        return SummaryView(self._origin, (*self._path, self._known(key)), found)

    def __setitem__(self, key: str, value: Any) -> None:
        name = key_text(key, "The summary")
        self._json_dict[name] = self._encoded(name, value)
        self._locked.add(name)
        # As in the SDK: a dict is sent when it is assigned, other values by `update`.
        if isinstance(value, Mapping):
            self._origin.send()

    def __delitem__(self, key: str) -> None:
        del self._json_dict[self._known(key)]

    def __contains__(self, key: object) -> bool:
        return self._known(key) in self._json_dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._json_dict)

    def __len__(self) -> int:
        return len(self._json_dict)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self:
            raise _NoSuchValue(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __repr__(self) -> str:
        return for_screen(one_line(repr(self._json_dict)))

    def _known(self, key: object) -> Any:
        """Return the key itself if the summary has it, else the key without surrounding spaces."""
        is_there = not isinstance(key, str) or key in self._json_dict
        return key if is_there else str(key).strip()

    def _encoded(self, key: str, value: Any) -> Any:
        return to_json_value(value, f"The summary's {'.'.join((*self._path, key))!r}")


class Summary(SummaryView):
    """A run's summary: the last value of each key, or the value ``define_metric`` requested.

    Parameters
    ----------
    values : dict
        All values, by key: the dict that `Run.summary_metrics` returns, not a copy.
    send : callable
        Writes all values to the backend.

    Examples
    --------
    >>> sent = []
    >>> summary = Summary({"best": {"loss": 0.5}}, lambda values: sent.append(dict(values)))
    >>> summary["best"]["loss"], summary.best.loss, len(summary)
    (0.5, 0.5, 1)
    >>> summary["epochs"] = 3
    >>> summary.update({"done": True})
    >>> sent
    [{'best': {'loss': 0.5}, 'epochs': 3, 'done': True}]
    """

    def __init__(self, values: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(Origin(values, send), (), values)


class _NoSuchValue(KeyError, AttributeError):
    """Raised for an attribute of a summary that does not exist.

    It is a KeyError, as in the SDK, and also an AttributeError, so that ``hasattr`` works.
    """
