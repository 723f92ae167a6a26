"""Check pages with axe-core, and collect what went wrong on them."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

AXE = Axe()


def faults_of(page: Any) -> list[str]:
    """Return the violations that axe-core finds on a page, each with its elements."""
    found = AXE.run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]
