"""`ProjectView`: the choices of a visitor to a project's page, which are the query of its URL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from runlake.charts.smoothing import check_smooth
from runlake.errors import InvalidArgument
from runlake.pages.project.conditions import joined, parse_filter, search_filter
from runlake.public.runs.plots import BANDS, SYNONYMS

NEWEST_FIRST = "-created_at"
PER_PAGE, MAX_PER_PAGE = 50, 1_000
MAX_PAGE = 1_000_000
# How many values a repeated parameter may have.
MAX_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class ProjectView:
    """The choices of a visitor to a project's page.

    Parameters
    ----------
    entity, project : str
        The project.
    filter : str
        A filter as it was typed: JSON in the language of `Api.runs`.
    search : str
        A text that the name, the id, the group, the notes or a tag of a run contains.
    order : str
        ``+`` or ``-``, and a field, as `Api.runs` takes it.
    page, per_page : int
        The page of the table, from 1, and its number of runs.
    column : tuple of str
        Columns of the table; empty for the columns that the page chooses.
    run : tuple of str
        Ids of the runs that are selected; empty if the first runs of the table are drawn.
    hide : tuple of str
        Ids of runs that are not drawn.
    key : tuple of str
        Keys to draw; empty for those that the page chooses.
    match : str
        A text that the keys to draw contain.
    x : str
        Key of the x axis; empty for the one that the runs declare.
    smooth : str
        The smoothing, a number as for `Run.plot`; empty for none.
    log : str
        "y" for a logarithmic y axis.
    by : tuple of str
        Columns of the runs: one curve per group of runs with equal values in them.
    band : str
        What surrounds the mean of a group, as for `Runs.plot`.
    all : str
        In the comparison, "1" shows equal values too.
    """

    entity: str
    project: str
    filter: str = ""
    search: str = ""
    order: str = NEWEST_FIRST
    page: int = 1
    per_page: int = PER_PAGE
    column: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    match: str = ""
    x: str = ""
    smooth: str = ""
    log: str = ""
    by: tuple[str, ...] = ()
    band: str = ""
    all: str = ""

    @classmethod
    def from_query(cls, entity: str, project: str, query: QueryParams) -> ProjectView:
        """Read a view from the query of a URL; empty and repeated values are left out.

        A ``page`` or ``per_page`` that is not a number counts as missing. Other wrong values are
        kept, so that the page can show them together with the error that their use raises.
        """
        found: dict[str, Any] = {}
        for field in fields(cls)[2:]:
            values = [value for value in query.getlist(field.name) if value]
            if not values:
                continue
            if field.name in REPEATED:
                found[field.name] = tuple(dict.fromkeys(values))[:MAX_VALUES]
            else:
                found[field.name] = values[-1]
        if "order" in found:
            found["order"] = _signed(found["order"])
        for name, most in (("page", MAX_PAGE), ("per_page", MAX_PER_PAGE)):
            text = str(found.pop(name, ""))
            if text.isascii() and text.isdigit():
                found[name] = min(most, max(1, int(text[:9])))
        return cls(entity, project, **found)

    @property
    def filters(self) -> dict[str, Any]:
        """The filter and the search, in the language of `Api.runs`.

        Raises
        ------
        InvalidArgument
            If the filter is no JSON object.
        """
        return joined([parse_filter(self.filter), search_filter(self.search)])

    @property
    def bands(self) -> str:
        """The band, with the name that `Runs.plot` uses."""
        return SYNONYMS.get(self.band, self.band)

    @property
    def is_grouped(self) -> bool:
        """Whether groups of runs are drawn instead of single runs."""
        return bool(self.by or self.band)

    @property
    def smoothing(self) -> float | int | None:
        """The smoothing as a number.

        Raises
        ------
        InvalidArgument
            If the smoothing is not a number.
        """
        if not self.smooth:
            return None
        try:
            return int(self.smooth) if self.smooth.isdigit() else float(self.smooth)
        except ValueError:
            raise InvalidArgument(
                f"smooth must be a number, not {self.smooth!r}: from 0 to below 1 the weight of a "
                "moving average, from 1 the number of points of a window."
            ) from None

    def check(self) -> None:
        """Raise `InvalidArgument` if the smoothing or the band is wrong."""
        check_smooth(self.smoothing)
        if self.band and self.bands not in BANDS:
            raise InvalidArgument(f"band must be one of {', '.join(BANDS)}, not {self.band!r}.")

    def but(self, **changes: Any) -> ProjectView:
        """Return a copy of the view with some values changed."""
        return replace(self, **changes)

    def query(self) -> str:
        """Return the query of this view's URL: the values that are not defaults, in fixed order."""
        return urlencode(self.pairs(), errors="replace", quote_via=quote)

    def pairs(self, without: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return names and values of the query, without defaults and without the given names."""
        found = []
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if field.name in without or value == field.default:
                continue
            values = value if isinstance(value, tuple) else (value,)
            found += [(field.name, str(one)) for one in values]
        return found

    def toggled(self, name: str, value: str) -> ProjectView:
        """Return a view with a value added to a repeated parameter, or removed if it was there."""
        values: tuple[str, ...] = getattr(self, name)
        rest = tuple(one for one in values if one != value)
        return self.but(**{name: (*rest, value) if rest == values else rest})


REPEATED = frozenset(
    field.name for field in fields(ProjectView) if isinstance(field.default, tuple)
)


def is_canonical(query: QueryParams, typed: Collection[str]) -> bool:
    """Return whether a query has no empty value, and no name that only the form sends."""
    return all(value and name not in typed for name, value in query.multi_items())


def _signed(order: str) -> str:
    # A plus sign that is not encoded arrives as a space.
    return f"+{order[1:]}" if order.startswith(" ") else order
