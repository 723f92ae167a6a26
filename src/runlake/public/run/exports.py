"""The exports of a run: brought to the cache, and copied out of it."""

from __future__ import annotations

from pathlib import Path

from runlake.cache.pull import pull_run
from runlake.cache.pull_result import PullResult
from runlake.exports.progress import Progress
from runlake.public.run.export_copies import DownloadHistoryResult, download_history_exports
from runlake.public.run.fields import RunFields
from runlake.values import Question


class RunExports(RunFields):
    """What downloads the exports of a run to disk."""

    def pull(
        self,
        keys: list[str] | None = None,
        *,
        use_cache: bool = True,
        progress: Progress | None = None,
    ) -> PullResult:
        """Bring the exports of the run to the cache.

        Parameters
        ----------
        keys : list of str, optional
            Fetch large exports in part: what these keys need of them. Everything if omitted.
        use_cache : bool
            False downloads all of them again.
        progress : Progress, optional
            Watches the downloads.

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
            progress=progress,
        )

    def download_history_exports(
        self, download_dir: Path | str, require_complete_history: bool = True
    ) -> DownloadHistoryResult:
        """Copy the history exports of the run to a directory.

        Parameters
        ----------
        download_dir : path
            Made if it is not there; files of the same names are replaced.
        require_complete_history : bool
            Refuse a run that has rows in no export yet.

        Returns
        -------
        DownloadHistoryResult
            The files, ordered by first step.

        Raises
        ------
        IncompleteRunHistoryError
            If rows are missing from the exports and the call does not allow that.
        WandbApiFailedError
            If the download fails for another reason.
        """
        return download_history_exports(
            self._client,
            self._path,
            download_dir,
            require_complete_history=require_complete_history,
        )
