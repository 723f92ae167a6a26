"""Choose keys of many runs by a pattern or by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate

from runlake.errors import InvalidArgument
from runlake.history.plan.key_facts import KeyFacts
from runlake.values import KEY_KINDS, check_word

NOT_MEDIA = "not media"


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """A choice of the keys to read, by pattern and by kind.

    Parameters
    ----------
    pattern : re.Pattern or None
        Matches a whole key; None matches every key.
    kind : str or None
        A kind of key, or "not media"; None means every kind.
    text : str or None
        The glob or regular expression as the user passed it, for messages.
    """

    pattern: re.Pattern[str] | None = None
    kind: str | None = None
    text: str | None = None

    @classmethod
    def from_arguments(
        cls, like: str | re.Pattern[str] | None, kind: str | None
    ) -> KeyChoice | None:
        """Check the arguments ``like`` and ``kind``; return None if both are None.

        Parameters
        ----------
        like : str, re.Pattern or None
            A glob (``*``, ``?`` and ``[...]``; a slash has no special meaning), or a regular
            expression that matches the whole key.
        kind : str or None
            One of the kinds of `Run.keys`, or "not media".

        Raises
        ------
        InvalidArgument
            If an argument is wrong.

        Examples
        --------
        >>> choice = KeyChoice.from_arguments("val/*", None)
        >>> choice.pattern.fullmatch("val/top/acc") is not None
        True
        """
        if kind is not None:
            check_word(kind, "kind", (*KEY_KINDS, NOT_MEDIA))
        if like is None:
            return None if kind is None else cls(None, kind)
        if isinstance(like, re.Pattern) and isinstance(like.pattern, str):
            return cls(like, kind, like.pattern)
        if not isinstance(like, str):
            raise InvalidArgument(
                f"like must be a glob such as 'val/*', or a regular expression made with "
                f"re.compile, not {like!r}."
            )
        return cls(re.compile(translate(like)), kind, like)

    def matching(self, facts: Iterable[KeyFacts]) -> list[KeyFacts]:
        """Return those of ``facts`` whose keys match, in the given order."""
        return [one for one in facts if self._matches(one)]

    def _matches(self, facts: KeyFacts) -> bool:
        if self.pattern is not None and self.pattern.fullmatch(facts.key) is None:
            return False
        if self.kind == NOT_MEDIA:
            return facts.kind != "media"
        return self.kind in (None, facts.kind)
