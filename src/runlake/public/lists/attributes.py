"""What objects of the public API share: the backend's fields as attributes, a look in notebooks."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from runlake.backend.graphql.lacking import lacked_field
from runlake.backend.http.client import Client
from runlake.errors import InvalidType
from runlake.public.missing import say_missing

# What an address may hold as it is; all else is percent-encoded.
URL_CHARACTERS = "%/:@!$&()*+,;=~?#[]"


class Attributes:
    """Shows the fields that the backend sent as attributes, under snake case and under camel case.

    Parameters
    ----------
    attrs : dict
        Fields by their names in GraphQL.
    """

    def __init__(self, attrs: dict[str, Any]) -> None:
        self._attrs = attrs

    def __getattr__(self, name: str) -> Any:
        # A copy or an unpickled object is asked for names before it has any fields.
        attrs = self.__dict__.get("_attrs")
        if attrs is not None and not name.startswith("_"):
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
        """Return a name as GraphQL spells it, `camel_case`."""
        return camel_case(string)

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Show the object in a notebook.

        Parameters
        ----------
        height : int
            Pixels.
        hidden : bool
            Show a button in its place.

        Returns
        -------
        bool
            False outside of a notebook.
        """
        shown = self.to_html(height, hidden)
        if not is_notebook() or shown is None:
            return False
        from IPython.display import HTML, display

        display(HTML(shown))
        return True

    def to_html(self, height: int = 420, hidden: bool = False) -> str | None:
        """Return HTML that shows the object, None where there is no page of it."""
        del height, hidden
        return None


def camel_case(name: str) -> str:
    """Return a name as GraphQL spells it.

    Examples
    --------
    >>> camel_case("heartbeat_at"), camel_case("lastStep")
    ('heartbeatAt', 'lastStep')
    """
    return re.sub(r"_+([a-zA-Z0-9])", lambda found: found[1].upper(), name)


def client_of(api: object) -> Client:
    """Return the client of an `Api`; `InvalidType` for anything else."""
    client = getattr(api, "_client", None)
    if not isinstance(client, Client):
        raise InvalidType(f"api must be a runlake.Api, not {api!r}.")
    return client


def is_notebook() -> bool:
    """Tell whether the code runs in a Jupyter kernel."""
    return _kernel() is not None


def is_vscode() -> bool:
    """Tell whether the code runs in a notebook of VS Code, which shows no frames."""
    kernel = _kernel()
    return kernel is not None and "__vsc_ipynb_file__" in kernel.shell.user_ns


def _kernel() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return getattr(get_ipython(), "kernel", None)


def frame_of(url: str, height: int, *, hidden: bool) -> str:
    """Return HTML with a page in a frame, behind a button if it is hidden.

    Parameters
    ----------
    url : str
        Of the page; whatever stands in it stays within the frame's address.
    height : int
        Pixels.
    hidden : bool
        Show a button in its place.

    Returns
    -------
    str
        The element; just the text of an address that is none of the web.

    Raises
    ------
    InvalidType
        If the height is no number.
    """
    if not isinstance(height, (int, float)):
        raise InvalidType(f"height must be a number of pixels, not {height!r}.")
    if not url.startswith(("https://", "http://")):
        return html.escape(url)
    address = html.escape(f"{quote(url, safe=URL_CHARACTERS)}?jupyter=true")
    style = f"border:none;width:100%;height:{height:g}px;"
    if not hidden:
        return f"<iframe src='{address}' style='{style}'></iframe>"
    button = (
        "<button onClick=\"this.nextSibling.style.display='block';this.style.display='none';\">"
        "Display W&B run</button>"
    )
    return f"{button}<iframe src='{address}' style='{style}display:none;'></iframe>"
