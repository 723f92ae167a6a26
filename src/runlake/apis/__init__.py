"""W&B's import path for the public classes: ``runlake.apis.public.Run`` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runlake.apis import public as public

if TYPE_CHECKING:
    from runlake.public.api import Api

__all__ = ["Api", "public"]


def __getattr__(name: str) -> object:
    if name == "Api":
        return public.Api
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
