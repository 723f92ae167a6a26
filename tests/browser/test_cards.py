"""Cards in a real browser: legible in both themes, and no name runs a script or loads anything."""

import contextlib
import socket
import threading

import pytest
from tests.html_elements import HOSTILE
from tests.unit.notebook.test_cards import run_of

from runlake.notebook.bar import bar_html
from runlake.notebook.cards import hidden_behind
from runlake.notebook.markup import card
from runlake.notebook.media import media_card, media_figure
from runlake.notebook.run_cards import RunRow, run_card, runs_table
from runlake.notebook.sparkline import Curve
from runlake.values import ProgressUpdate

SCRIPTS = [
    *HOSTILE,
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\"'`><svg onload=alert(3)>",
    "]]>--></style><script>alert(4)</script>",
    "<iframe src=javascript:alert(5)>",
]
CONTRAST = """
(element) => {
  const channel = (value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const light = (color) => {
    const [r, g, b] = color.match(/[0-9.]+/g).map(Number).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = light(getComputedStyle(document.querySelector(".runlake")).backgroundColor);
  const front = light(getComputedStyle(element).color);
  return (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
}
"""


def everything(address):
    runs = [run_card(run_of(name)) for name in SCRIPTS]
    rows = [
        RunRow(name, "failed", f"javascript:{name}", [name, 1.5], Curve(name, [0, 1], [1.0, 2.0]))
        for name in SCRIPTS
    ]
    page = (
        f"<script>parent.alert(6); top.location = '{address}'</script><img src={address}>"
        f"<link rel=stylesheet href={address}><body background={address}>"
    ).encode()
    svg = (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(7)'><script>alert(8)</script></svg>"
    )
    media = media_card(
        [media_figure("html", "a.html", "page", page), media_figure("image", "a.svg", "svg", svg)]
    )
    return "".join(
        [
            *runs,
            card(*runs_table(SCRIPTS[:2], SCRIPTS[2], rows, 99)),
            media,
            *(hidden_behind(name, runs[0]) for name in SCRIPTS),
            *(bar_html(ProgressUpdate(1, 3, "runs", name)) for name in SCRIPTS),
        ]
    )


@pytest.fixture
def listener():
    """The address of a host that notes who connects, and the list of its notes."""
    connected = []
    with socket.create_server(("127.0.0.1", 0)) as host:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, address = host.accept()
                    connected.append(address)
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{host.getsockname()[1]}/", connected
        host.shutdown(socket.SHUT_RDWR)


def is_refusal(wrong, address):
    """Return whether a message says that the frame of a page refused what the page wanted.

    The browser reports a request before it refuses it.
    """
    is_said = "sandboxed" in wrong or "Content Security" in wrong
    return (wrong.startswith("console:") and is_said) or wrong == f"request: {address}"


@pytest.mark.smoke
def test_no_script_runs_and_nothing_is_loaded(open_html, listener):
    address, connected = listener
    opened = open_html(f"<!doctype html><meta charset=utf-8>{everything(address)}")
    opened.page.locator("summary").first.click()
    opened.page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    opened.page.wait_for_timeout(200)
    assert [wrong for wrong in opened.wrongs if not is_refusal(wrong, address)] == []
    assert connected == []
    assert opened.page.url.startswith("file:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_both_themes(open_html, scheme):
    opened = open_html(f"<!doctype html>{run_card(run_of('plain'))}", scheme)
    for selector in ("h3", "th", "td", "p", "summary"):
        contrast = opened.page.locator(f".runlake {selector}").first.evaluate(CONTRAST)
        assert contrast > 4.5, (selector, contrast)
    back = opened.page.locator(".runlake").evaluate("e => getComputedStyle(e).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]


def test_the_theme_of_the_notebook_wins(open_html):
    shown = run_card(run_of("plain"))
    opened = open_html(f"<!doctype html><body data-jp-theme-light=false>{shown}</body>", "light")
    back = opened.page.locator(".runlake").evaluate("e => getComputedStyle(e).backgroundColor")
    assert back == "rgb(13, 17, 23)"
