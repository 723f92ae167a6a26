"""``python -m runlake``."""

from __future__ import annotations

from runlake import __version__


def main() -> None:
    """Print the version of the library."""
    import sys

    sys.stdout.write(f"runlake {__version__}\n")


if __name__ == "__main__":
    main()
