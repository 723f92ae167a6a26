"""Paths of the scripts and styles of charts in HTML, including uPlot, which the build fetches."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
# Written by the build hook; see `hatch_build.py`.
UPLOT = FOLDER / "uplot"
# uPlot has 51 kB, so each output of a notebook can have its own copy, and draws on a canvas, which
# stays fluent with about 100,000 points in view. SVG would need a node per mark.
UPLOT_FILES = ("uPlot.iife.min.js", "uPlot.min.css")
