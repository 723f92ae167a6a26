"""Base class of public objects: the backend's fields as attributes, and display in notebooks."""

from __future__ import annotations

import re
import reprlib
import sys
from typing import Any
from urllib.parse import quote

from runlake.backend.graphql.lacking import lacked_field
from runlake.backend.http.client import Client
from runlake.errors import InvalidType
from runlake.public.missing import say_missing

# Characters that are not changed in an address; all others are percent-encoded.
URL_CHARACTERS = "%/:@!$&()*+,;=~?#[]"
MAX_HEIGHT = 1e6  # pixels; NaN and larger numbers are refused


class Attributes:
    """Provides the backend's fields as attributes, with names in snake case and in camel case.

    Parameters
    ----------
    attrs : dict
        Fields by their names in GraphQL.
    """

    def __init__(self, attrs: dict[str, Any]) -> None:
        self._attrs = attrs

    def __getattr__(self, name: str) -> Any:
        # copy and pickle look up attributes before the object has any fields.
        attrs = self.__dict__.get("_attrs")
        if attrs is not None and not name.startswith("_"):
            # In this order, as in the SDK.
            for key in (camel_case(name), name):
                if key in attrs:
                    return attrs[key]
            text = f"{self!r} has no attribute {name!r}{self._why_missing(name)}"
            raise AttributeError(say_missing(type(self).__name__, name, text), name=name)
        raise AttributeError(name)

    def _why_missing(self, name: str) -> str:
        client = self.__dict__.get("_client")
        if not isinstance(client, Client):
            return ""
        lack = lacked_field(client, type(self).__name__, camel_case(name))
        return "" if lack is None else f": the schema of {client.origin} lacks the {lack}"

    def snake_to_camel(self, string: str) -> str:
        """Convert a name from snake case to camel case, as GraphQL spells names."""
        return camel_case(string)

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Show the object's card in a notebook.

        Parameters
        ----------
        height : int
            Maximum height in pixels; a higher card gets a scroll bar.
        hidden : bool
            Show only a title; a click on it shows the card.

        Returns
        -------
        bool
            True if the object was shown; False outside a notebook, or if the object has no card.
        """
        _check_height(height)
        if not is_notebook():
            return False
        shown = self._card(height)
        if shown is None:
            return False
        from IPython.display import HTML, display

        from runlake.notebook.cards import hidden_behind

        display(HTML(hidden_behind(repr(self), shown) if hidden else shown))
        return True

    def _card(self, height: int | None = None) -> str | None:
        """Return the card of the object, as HTML; None if the object has no card."""
        del height
        return None

    def to_html(self, height: int = 420, hidden: bool = False) -> str | None:
        """Return HTML that shows the object; None if the object has no page."""
        del height, hidden
        return None


def camel_case(name: str) -> str:
    """Convert a name from snake case to camel case, as GraphQL spells names.

    Examples
    --------
    >>> camel_case("heartbeat_at"), camel_case("lastStep")
    ('heartbeatAt', 'lastStep')
    """
    return re.sub(r"_+([a-zA-Z0-9])", lambda found: found[1].upper(), name)


def client_of(api: object) -> Client:
    """Return the client of an `Api`; raise `InvalidType` for any other object."""
    client = getattr(api, "_client", None)
    if not isinstance(client, Client):
        raise InvalidType(f"api must be a runlake.Api, not {api!r}.")
    return client


def is_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel."""
    # A kernel has IPython imported already. Elsewhere, importing it would take half a second.
    find_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return find_shell is not None and getattr(find_shell(), "kernel", None) is not None


def _check_height(height: object) -> None:
    if not isinstance(height, (int, float)) or not abs(height) < MAX_HEIGHT:
        raise InvalidType(f"height must be a number of pixels, not {reprlib.repr(height)}.")


def frame_of(url: str, height: int, *, hidden: bool, shows: str) -> str:
    """Return HTML that shows a page in an ``iframe``.

    Parameters
    ----------
    url : str
        Address of the page; escaped, so that it cannot add markup.
    height : int
        Height of the frame in pixels.
    hidden : bool
        Hide the frame behind a button that shows it.
    shows : str
        What the page shows, as a word for the button, such as ``run``.

    Returns
    -------
    str
        The ``iframe`` element. If the address is not http(s), only the text of the address.

    Raises
    ------
    InvalidType
        If the height is not a number.
    """
    from html import escape

    _check_height(height)
    if not url.startswith(("https://", "http://")):
        return escape(url)
    address = escape(f"{quote(url, safe=URL_CHARACTERS)}?jupyter=true")
    style = f"border:none;width:100%;height:{height:g}px;"
    if not hidden:
        return f"<iframe src='{address}' style='{style}'></iframe>"
    button = (
        "<button onClick=\"this.nextSibling.style.display='block';this.style.display='none';\">"
        f"Display W&B {shows}</button>"
    )
    return f"{button}<iframe src='{address}' style='{style}display:none;'></iframe>"
