"""`Chart`: curves and their settings, with a method for each output, such as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.charts.curves import MARK_NAMES, Curve, make_curves
from runlake.charts.drawing import Drawing
from runlake.charts.names import shown
from runlake.charts.series import Axis, Series
from runlake.charts.smoothing import check_smooth, describe
from runlake.errors import InvalidArgument, InvalidType, LocalFileNotFoundError, MissingExtra
from runlake.errors.screen import for_screen
from runlake.values import STEP, check_count, check_number
from runlake.values.counted import counted
from runlake.values.local_paths import local_path, writing_to

if TYPE_CHECKING:
    import matplotlib.figure
    import plotly.graph_objects
    import polars as pl

N_POINTS = 2_000
MIN_POINTS = 4
PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
TITLE_KEYS = 3
X_AXIS, Y_AXIS = Axis(STEP), Axis()


# Compared by identity, here and in the parts of a chart: frames and arrays have no single answer to
# the operator ==.
@dataclass(frozen=True, eq=False)
class Chart:
    """Curves that can be shown as interactive HTML, terminal text, a picture or a plotly figure.

    `Run.plot` and `Runs.plot` return charts. A notebook draws a chart at the end of a cell;
    ``print`` draws it with characters.

    Parameters
    ----------
    series : tuple of Series
        The curves, each with all its points, or with a sample if `Series.n_points` is set.
    x, y : Axis
        Scale and range of the axes, and the key of the x axis.
    smooth : float, int or None
        From 0 to below 1, the weight of the exponential moving average of W&B's charts; an integer
        from 1 is a number of points, whose mean is drawn in place of each value. Values are
        smoothed before they are sampled.
    title : str
        The title. If omitted, the chart shows the keys, and the run if there is only one.
    notes : tuple of str
        Sentences to show below the curves, after those that the chart itself adds, such as the
        number of points.
    points : int
        Maximum number of points to draw for the series that share one frame. The drawn points show
        the shape of the curve, and include the first and the last point. Of NaN and infinities,
        some are left out if there are many.
    """

    series: tuple[Series, ...]
    x: Axis = X_AXIS
    y: Axis = Y_AXIS
    smooth: float | int | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    points: int = N_POINTS

    def __post_init__(self) -> None:
        if not self.series:
            raise InvalidArgument("A chart needs at least one series.")
        object.__setattr__(self, "series", tuple(self.series))
        object.__setattr__(self, "smooth", check_smooth(self.smooth))
        if check_count(self.points, "points") < MIN_POINTS:
            raise InvalidArgument(f"points must be {MIN_POINTS} or more, not {self.points!r}.")

    @classmethod
    def of_frame(
        cls, frame: pl.DataFrame, keys: str | Sequence[str], *, x: str = STEP, run: str = ""
    ) -> Chart:
        """Return a chart with a curve for each of the given columns.

        Parameters
        ----------
        frame : polars.DataFrame
            Rows in any order. A row whose key is null is not a point of that key's curve.
        keys : str or list of str
            Columns to draw.
        x : str
            Column of the x axis.
        run : str
            Name of the run for the legend.

        Raises
        ------
        InvalidArgument
            If ``keys`` is empty, or a column is missing, or its values are not numbers.
        """
        names = [keys] if isinstance(keys, str) else list(keys)
        chart = cls(tuple(Series(frame, key, x, run) for key in names), x=Axis(x))
        # Wrong columns are reported here, not when the chart is drawn.
        _ = chart.curves
        return chart

    @cached_property
    def curves(self) -> list[Curve]:
        """The curves with the points that are drawn, one curve per series."""
        return make_curves(self.series, self.x, self.smooth, self.points)

    @property
    def heading(self) -> str:
        """The title, or the keys and the name of the only run if the chart has no title."""
        if self.title:
            return shown(self.title)
        keys = list(dict.fromkeys(one.key for one in self.series))
        more = f" and {len(keys) - TITLE_KEYS} more" if len(keys) > TITLE_KEYS else ""
        runs = {one.run for one in self.series}
        of_run = f" - {runs.pop()}" if len(runs) == 1 and "" not in runs else ""
        return shown(", ".join(keys[:TITLE_KEYS]) + more + of_run)

    @property
    def remarks(self) -> list[str]:
        """Sentences about the chart: numbers of drawn and marked points, smoothing, and notes."""
        n_shown = sum(len(curve.x) for curve in self.curves)
        n_points = max(n_shown, sum(curve.n_points for curve in self.curves))
        size = counted(n_points, "point")
        found = [size if n_shown == n_points else f"{n_shown:,} of {size}"]
        totals = [
            sum(counts) for counts in zip(*(one.n_marked for one in self.curves), strict=True)
        ]
        kinds = [f"{n:,} {name}" for n, name in zip(totals, MARK_NAMES, strict=True) if n and name]
        if kinds:
            found.append(f"marked: {', '.join(kinds)}")
        if self.smooth is not None:
            found.append(describe(self.smooth))
        return [*found, *map(shown, self.notes)]

    @cached_property
    def drawing(self) -> Drawing:
        """The `Drawing` of this chart, from which every drawer makes its output."""
        return Drawing(self.heading, tuple(self.remarks), tuple(self.curves), self.x, self.y)

    def within(self, low: float | None = None, high: float | None = None) -> Chart:
        """Return this chart for a range of the x axis, inclusive at both ends, in more detail.

        Raises
        ------
        InvalidArgument
            If an end is not a finite number.
        """
        for end, name in ((low, "low"), (high, "high")):
            if end is not None:
                check_number(end, name)
        return replace(self, x=replace(self.x, low=low, high=high))

    def html(self) -> str:
        """Return an HTML document with the interactive chart; the document needs no network.

        Drag to zoom, double-click to zoom out. A click on a name of the legend hides a curve.
        """
        from runlake.charts.html import document

        return document([self.drawing])

    def text(self, width: int = 76, height: int = 18) -> str:
        """Return the chart drawn with characters, for a terminal.

        Parameters
        ----------
        width, height : int
            Size in characters; the legend and the notes need further lines.

        Raises
        ------
        MissingExtra
            If plotext is not installed.
        """
        from runlake.charts.terminal import draw_text

        check_count(width, "width")
        check_count(height, "height")
        return draw_text(self.drawing, width, height)

    def to_matplotlib(self) -> matplotlib.figure.Figure:
        """Return the chart as a figure of matplotlib.

        Raises
        ------
        MissingExtra
            If matplotlib is not installed.
        """
        from runlake.charts.matplotlib_figure import make_figure

        return make_figure(self.drawing)

    def to_plotly(self) -> plotly.graph_objects.Figure:
        """Return the chart as a figure of plotly.

        Raises
        ------
        MissingExtra
            If plotly is not installed.
        """
        from runlake.charts.plotly_figure import make_figure

        return make_figure(self.drawing)

    def save(self, path: str | Path) -> Path:
        """Write the chart to a file.

        Parameters
        ----------
        path : str or Path
            The file to write. The end of the name chooses the format: ``.png``, ``.svg`` or
            ``.pdf`` for a picture, ``.html`` for the interactive chart, ``.txt`` for text.

        Returns
        -------
        Path
            The path of the file.

        Raises
        ------
        InvalidArgument
            If the format is unknown.
        LocalFileNotFoundError
            If the directory of the file does not exist.
        FileTransferError
            If the file cannot be written.
        MissingExtra
            If the format needs a package that is not installed.
        """
        target = checked_target(path)
        if not target.parent.is_dir():
            raise LocalFileNotFoundError(
                f"{str(target)!r} cannot be written: there is no directory {str(target.parent)!r}."
            )
        form = target.suffix.lower()
        if form in PICTURES:
            from runlake.charts.matplotlib_figure import save_figure

            with writing_to(target):
                save_figure(self.drawing, target)
        else:
            content = self.html() if form in PAGES else self.text() + "\n"
            with writing_to(target):
                target.write_text(content, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        from runlake.charts.html import frame_of

        return frame_of([self.drawing])

    def __str__(self) -> str:
        try:
            return for_screen(self.text())
        except MissingExtra:
            return repr(self)

    def __repr__(self) -> str:
        n_series = len(self.series)
        return f"<Chart {for_screen(self.heading)}: {n_series:,} series, {self.remarks[0]}>"


def join_charts(charts: Sequence[Chart]) -> Chart:
    """Return one chart with the series and notes of all charts, and the settings of the first.

    Raises
    ------
    InvalidArgument
        If the charts have different x axes.
    """
    first = charts[0]
    axes = dict.fromkeys(chart.x.key for chart in charts)
    if len(axes) > 1:
        raise InvalidArgument(
            f"The x axes differ ({', '.join(map(repr, axes))}): name one with x=."
        )
    return replace(
        first,
        series=tuple(one for chart in charts for one in chart.series),
        notes=tuple(dict.fromkeys(note for chart in charts for note in chart.notes)),
    )


def checked_target(path: Any) -> Path:
    """Return the path of a file to write; raise `InvalidArgument` for an unknown format."""
    if not isinstance(path, (str, Path)):
        raise InvalidType(f"path must be the name of a file, not {path!r}.")
    target = local_path(path, "path")
    known = (*PICTURES, *PAGES, ".txt")
    if target.suffix.lower() not in known:
        raise InvalidArgument(
            f"The name of the file must end in {', '.join(known[:-1])} or {known[-1]}, "
            f"not {str(path)!r}."
        )
    return target
