"""Check the packed rows of runs whose exports were deleted: these rows are the only local copy."""

from __future__ import annotations

from runlake.cache.disk.dropped import read_dropped
from runlake.cache.layout import RunDirectory
from runlake.errors import RunlakeError
from runlake.lake.packed.place import PackedPlace


def has_packed_rows(directory: RunDirectory) -> bool:
    """Return whether the packed tables have all rows of a run whose exports were deleted.

    All rows are read, so that data files that are gone or cannot be decoded are found. The data
    files have no checksums: changed bytes that can still be decoded are not found.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.

    Returns
    -------
    bool
        False if a row is missing or a file cannot be decoded. Also False if `Lake.pack` has not
        deleted the exports of the run; the packed rows are not checked then.
    """
    root, relative = directory.root, directory.relative
    if relative not in read_dropped(root) or not PackedPlace(root).is_there:
        return False
    from runlake.history.frames.answer_types import answer_types
    from runlake.lake.packed.read import PackedRead
    from runlake.lake.packed.view import open_view
    from runlake.values import Question

    try:
        view = open_view(root)
        number = None if view is None else view.current().get(relative)
        if view is None or number is None:
            return False
        read = PackedRead(view, Question(), {relative: number})
        columns = read.readings({relative: directory.run})[relative].columns
        rows = read.frame_of(number, answer_types([columns], None))
    except RunlakeError:
        return False
    return rows.height == view.n_rows[number]
