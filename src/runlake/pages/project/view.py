"""`ProjectView`: a visitor's choices on a project's page, which are kept in the page's URL."""

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
    """A visitor's choices on a project's page.

    Parameters
    ----------
    entity, project : str
        The project.
    filter : str
        A filter as it was typed: JSON in the language of `Api.runs`.
    search : str
        A text that the name, the id, the group, the notes or a tag of a run contains.
    order : str
        A field after ``+`` (ascending) or ``-`` (descending), as for `Api.runs`.
    page, per_page : int
        Number of the table's page, from 1, and the number of runs on each page.
    column : tuple of str
        Columns of the table; if empty, the page chooses the columns.
    run : tuple of str
        Ids of the runs that are selected. If empty, the first runs of the table are drawn, or
        groups of all runs.
    hide : tuple of str
        Ids of runs that are not drawn.
    key : tuple of str
        Keys to draw; if empty, the page chooses the keys.
    match : str
        A text that the keys to draw contain.
    x : str
        Key of the x axis; if empty, the axis that the runs declare.
    smooth : str
        The smoothing, a number as for `Run.plot`; empty for none.
    log : str
        "y" for a logarithmic y axis; empty for a linear axis.
    by : tuple of str
        Columns to group by: runs with equal values in these columns share one curve.
    band : str
        The band around the mean of a group, such as "std", as for `Runs.plot`.
    all : str
        "1" if the comparison shows equal values too.
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
        """Read a view from the query of a URL, without empty and duplicate values.

        A ``page`` or ``per_page`` that is not a number counts as missing. Other wrong values are
        kept: they raise an error when they are used, and the page shows the value with the error.
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
            # Python refuses to read thousands of digits; nine digits exceed both maximums.
            if text.isascii() and text.isdigit():
                found[name] = min(most, max(1, int(text[:9])))
        return cls(entity, project, **found)

    @property
    def filters(self) -> dict[str, Any]:
        """The filter and the search as one filter, in the language of `Api.runs`.

        Raises
        ------
        InvalidArgument
            If the filter is no JSON object.
        """
        return joined([parse_filter(self.filter), search_filter(self.search)])

    @property
    def bands(self) -> str:
        """The value of `band`; a synonym is replaced by the main name, as in `Runs.plot`."""
        return SYNONYMS.get(self.band, self.band)

    @property
    def is_grouped(self) -> bool:
        """Whether groups of runs are drawn instead of single runs."""
        return bool(self.by or self.band)

    @property
    def smoothing(self) -> float | int | None:
        """The smoothing as a number; None for no smoothing.

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
        """Return this view as a URL's query, in a fixed order and without default values."""
        return urlencode(self.pairs(), errors="replace", quote_via=quote)

    def pairs(self, without: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return names and values of the query, except defaults and the names in ``without``."""
        found = []
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if field.name in without or value == field.default:
                continue
            values = value if isinstance(value, tuple) else (value,)
            found += [(field.name, str(one)) for one in values]
        return found

    def toggled(self, name: str, value: str) -> ProjectView:
        """Return a copy that adds a value to a repeated parameter, or removes an existing value."""
        values: tuple[str, ...] = getattr(self, name)
        rest = tuple(one for one in values if one != value)
        return self.but(**{name: (*rest, value) if rest == values else rest})


REPEATED = frozenset(
    field.name for field in fields(ProjectView) if isinstance(field.default, tuple)
)


def is_canonical(query: QueryParams, typed: Collection[str]) -> bool:
    """Return whether a query has no empty value, and no parameter that only the form sends."""
    return all(value and name not in typed for name, value in query.multi_items())


def _signed(order: str) -> str:
    # A plus sign that is not encoded arrives as a space.
    return f"+{order[1:]}" if order.startswith(" ") else order
