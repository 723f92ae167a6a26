"""Scripts and styles of charts in HTML, and those of uPlot that the build hook fetches."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
# Written by the build hook; see `hatch_build.py`.
UPLOT = FOLDER / "uplot"
UPLOT_FILES = ("uPlot.iife.min.js", "uPlot.min.css")
