"""The table of compatibility: every member of the public API, asked of both clients.

A row is Python that both clients run, in the order of the table, each in a world of its own with
the same runs; what it evaluates to must be of the same type and equal. `docs` renders the rows to
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
        Which interface the answer is that of: the documented page (SDK 0.27), SDK 0.31, both, or
        our own where the row tells a difference.
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
