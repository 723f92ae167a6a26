"""runlake reads experiment history, fast.

Nothing heavy is imported here: every layer loads when it is first used.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
