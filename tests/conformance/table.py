"""The compatibility table: a row for every member of the public API, run with both clients.

A row is Python code. Both clients run the rows in the order of the table, each in a world of its
own with the same runs; the values must be equal and of the same type. `render` writes the table to
``docs/reference/compatibility.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Follows = Literal["both", "page", "0.31", "runlake"]


@dataclass(frozen=True)
class Row:
    """One question to both clients.

    Parameters
    ----------
    member : str
        ``Class.member`` that the row is about.
    code : str
        Statements whose last is an expression: the answer. It sees ``wandb`` (the client's module),
        ``api``, ``run``, ``path``, ``entity``, ``project``, ``Path`` and ``is_runlake``.
    follows : str
        The interface whose behaviour is expected: the documented page (SDK 0.27), SDK 0.31, both,
        or runlake's own if the row has a difference.
    difference : str
        A deliberate difference and its reason.
    ours : str
        Python over ``theirs``, the SDK's described answer, that makes ours of it; only with a
        difference.
    is_volatile : bool
        Time or chance has a part in the answer: only its type is compared.
    """

    member: str
    code: str
    follows: Follows = "both"
    difference: str = ""
    ours: str = "theirs"
    is_volatile: bool = False


@dataclass(frozen=True)
class Absent:
    """A member of the SDK that runlake does not have, and why."""

    member: str
    reason: str
