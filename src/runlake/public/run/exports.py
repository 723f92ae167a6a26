"""Methods of a run that download its exports to the cache and copy them to a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runlake.cache.pull import pull_run
from runlake.cache.pull_result import PullResult
from runlake.public.progress import progress_of
from runlake.public.run.fields import RunFields
from runlake.values import ProgressOption, Question

if TYPE_CHECKING:
    from runlake.public.run.export_copies import DownloadHistoryResult


class RunExports(RunFields):
    """Methods of a run that download its exports and copy them to a directory."""

    def pull(
        self,
        keys: list[str] | None = None,
        *,
        use_cache: bool = True,
        progress: ProgressOption = None,
    ) -> PullResult:
        """Download the exports of the run to the cache.

        Parameters
        ----------
        keys : list of str, optional
            Keys that will be read. From large exports, only the bytes of these keys are downloaded.
            If omitted, exports are downloaded whole.
        use_cache : bool
            False downloads every export again.
        progress : bool, callable or None
            False shows nothing. True shows a bar at once; None shows a bar after one second. Bars
            are shown only on a terminal or in a notebook. A function is called with each
            `ProgressUpdate`.

        Returns
        -------
        PullResult
            Counts of exports, files, bytes and rows, and the directory.
        """
        return pull_run(
            self._client,
            self._path,
            Question.from_arguments(keys),
            use_cache=use_cache,
            attrs=self._sent,
            progress=progress_of(self._client.settings, progress),
        )

    def download_history_exports(
        self,
        download_dir: Path | str,
        require_complete_history: bool = True,
        *,
        progress: ProgressOption = None,
    ) -> DownloadHistoryResult:
        """Copy the history exports of the run to a directory.

        Parameters
        ----------
        download_dir : path
            Created if it does not exist; existing files of the same names are replaced.
        require_complete_history : bool
            Raise an error if the run has rows that are in no export yet.
        progress : bool, callable or None
            As for `pull`, but None shows a bar at once.

        Returns
        -------
        DownloadHistoryResult
            The files, ordered by first step.

        Raises
        ------
        IncompleteRunHistoryError
            If the run has rows that are in no export yet, and ``require_complete_history`` is True.
        WandbApiFailedError
            If the download fails for another reason.
        """
        from runlake.public.run.export_copies import download_history_exports

        return download_history_exports(
            self._client,
            self._path,
            download_dir,
            require_complete_history=require_complete_history,
            progress=progress_of(self._client.settings, progress, delay=0.0),
        )
