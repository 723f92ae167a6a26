"""Import httpx without its command line.

`import httpx` also imports httpx's command line and the packages click, pygments and rich, if these
are installed. That takes half of the time of `import httpx`.
"""

from __future__ import annotations

import sys
from typing import Any

COMMAND_LINE = "httpx._main"


def import_httpx() -> None:
    """Import httpx as if the packages of its command line were not installed.

    If httpx was imported before, this function changes nothing. The command line still works:
    ``httpx.main`` imports these packages when it is called.
    """
    modules: dict[str, Any] = sys.modules
    if "httpx" in modules or COMMAND_LINE in modules:
        return
    # An import of a module that is None raises an ImportError, which httpx expects here.
    modules[COMMAND_LINE] = None
    try:
        import httpx
    finally:
        modules.pop(COMMAND_LINE, None)
    httpx.main = _main  # type: ignore[assignment] # called in the same way


def _main(*arguments: Any, **options: Any) -> Any:
    from httpx._main import main

    return main(*arguments, **options)
