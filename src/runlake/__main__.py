"""``python -m runlake`` and the ``runlake`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        from runlake.cli.main import main as run
    except ImportError as error:
        sys.stderr.write(
            f"Error: the command line needs {error.name}. Install it with: "
            "pip install 'runlake[cli]'.\n"
        )
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
