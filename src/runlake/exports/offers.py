"""Where the exports of a run are offered now: signed URLs run out while files are read."""

from __future__ import annotations

import threading

from runlake.backend.http.client import Client
from runlake.exports.manifest import Export, Manifest, fetch_manifest
from runlake.values import RunPath


class Offers:
    """The exports that a backend offers for a run, for all threads that fetch them.

    Parameters
    ----------
    client : Client
        The backend.
    manifest : Manifest
        What it offered so far.
    """

    def __init__(self, client: Client, manifest: Manifest) -> None:
        self.client = client
        self._manifest = manifest
        self._guard = threading.Lock()

    @property
    def run(self) -> RunPath:
        """The run."""
        return self._manifest.path

    @property
    def exports(self) -> tuple[Export, ...]:
        """What is on offer."""
        return self._manifest.exports

    def renew(self, refused: Export) -> Export | None:
        """Return a newer offer of an export whose URL was refused.

        Parameters
        ----------
        refused : Export
            With that URL.

        Returns
        -------
        Export or None
            None where the backend does not offer it any more. It is asked unless another thread did
            so since.
        """
        with self._guard:
            found = self._find(refused)
            if found is None or found.url == refused.url:
                self._manifest = fetch_manifest(self.client, self.run)
                found = self._find(refused)
        return found

    def _find(self, export: Export) -> Export | None:
        return next((one for one in self.exports if one.object == export.object), None)
