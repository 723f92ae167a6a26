"""The entry point of ``python -m runlake`` and of the ``runlake`` command."""

from __future__ import annotations

import sys

from runlake import __version__

INTERRUPTED = 130


def main() -> None:
    """Run the command line; if packages are missing, print how to install them."""
    if sys.argv[1:] == ["--version"]:
        # Print the version before the import of the command tree, because that import takes three
        # times as long as the start of Python.
        sys.stdout.write(f"runlake {__version__}\n")
        return
    try:
        from runlake.cli.main import main as run
    except ImportError as error:
        sys.stderr.write(
            f"Error: the command line needs {error.name}. Install it with: "
            "pip install 'runlake[cli]'.\n"
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
