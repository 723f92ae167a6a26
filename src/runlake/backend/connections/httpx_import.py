"""Import httpx without its command line, and without the packages for HTTP/2 and SOCKS.

`import httpx` also imports httpx's command line and the packages click, pygments and rich, if these
are installed. That takes half of the time of `import httpx`. httpcore imports the packages h2 and
socksio, if these are installed; that takes an eighth of the time.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

COMMAND_LINE = "httpx._main"
# Parts of httpcore that are imported at their first use, with the classes that they define.
LATE = {
    "_sync.http2": "HTTP2Connection",
    "_sync.socks_proxy": "SOCKSProxy",
    "_async.http2": "AsyncHTTP2Connection",
    "_async.socks_proxy": "AsyncSOCKSProxy",
}


def import_httpx() -> None:
    """Import httpx as if the packages of its optional parts were not installed.

    If httpx was imported before, this function changes nothing. The optional parts still work:
    their packages are imported when the command line is called, and when HTTP/2 or a SOCKS proxy is
    used.
    """
    modules: dict[str, Any] = sys.modules
    if "httpx" in modules or "httpcore" in modules or COMMAND_LINE in modules:
        return
    late = [COMMAND_LINE, *(f"httpcore.{part}" for part in LATE)]
    # An import of a module that is None raises an ImportError, which httpx and httpcore expect.
    modules.update(dict.fromkeys(late))
    try:
        import httpcore
        import httpx
    finally:
        for name in late:
            modules.pop(name, None)
    httpx.main = _main  # type: ignore[assignment] # called in the same way
    for package in (httpcore, httpcore._sync, httpcore._async):  # noqa: SLF001 - see LATE
        _import_late(package)


def _import_late(package: ModuleType) -> None:
    """Make a package of httpcore import its optional classes only when they are first used."""
    parts = {kind: part for part, kind in LATE.items() if kind in vars(package)}

    def find(name: str) -> Any:
        if name not in parts:
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"httpcore.{parts[name]}"), name)
        setattr(package, name, found)
        return found

    for kind in parts:
        delattr(package, kind)
    package.__getattr__ = find  # type: ignore[method-assign]


def _main(*arguments: Any, **options: Any) -> Any:
    from httpx._main import main

    return main(*arguments, **options)
