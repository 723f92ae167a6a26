"""The exports of a run with current URLs: signed URLs expire, and are then renewed."""

from __future__ import annotations

import threading

from runlake.backend.http.client import Client
from runlake.exports.manifest import Export, Manifest, fetch_manifest
from runlake.values import RunPath


class Offers:
    """The exports that a backend lists for a run, shared by all threads that download them.

    Parameters
    ----------
    client : Client
        Client of the backend.
    manifest : Manifest
        The last manifest that the backend sent.
    """

    def __init__(self, client: Client, manifest: Manifest) -> None:
        self.client = client
        self._manifest = manifest
        self._guard = threading.Lock()

    @property
    def run(self) -> RunPath:
        """Path of the run."""
        return self._manifest.path

    @property
    def exports(self) -> tuple[Export, ...]:
        """The exports that the backend lists, with their latest URLs."""
        return self._manifest.exports

    @property
    def n_rows_each(self) -> float | None:
        """Mean number of rows per export, perhaps somewhat overestimated; None if unknown."""
        n_rows, exports = self._manifest.line_count, self.exports
        return None if n_rows is None or not exports else n_rows / len(exports)

    def renew(self, refused: Export) -> Export | None:
        """Return an export with a new URL, after the storage host refused the old URL.

        A new manifest is requested, unless another thread has requested one since the URL was
        issued.

        Parameters
        ----------
        refused : Export
            The export with the refused URL.

        Returns
        -------
        Export or None
            None if the backend no longer lists the export.
        """
        with self._guard:
            found = self._find(refused)
            # Otherwise another thread has renewed the URLs meanwhile: one request serves all of
            # them.
            if found is None or found.url == refused.url:
                self._manifest = fetch_manifest(self.client, self.run)
                found = self._find(refused)
        return found

    def _find(self, export: Export) -> Export | None:
        return next((one for one in self.exports if one.object == export.object), None)
