"""Check the packed rows of runs whose exports were deleted: these rows are the only local copy."""

from __future__ import annotations

from itertools import chain

from runlake.cache.disk.dropped import read_dropped
from runlake.cache.layout import RunDirectory
from runlake.errors import RunlakeError
from runlake.lake.packed.place import PackedPlace


def has_packed_rows(directory: RunDirectory) -> bool:
    """Return whether the packed tables have all rows of a run whose exports were deleted.

    All rows are read, and compared with the checksums in the data files. Files that an earlier
    version of runlake wrote have no checksums: in these, changed bytes that can still be decoded
    are not found.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.

    Returns
    -------
    bool
        False if a row is missing, or if a part of a file that can have rows of the run is damaged.
        Also False if `Lake.pack` has not deleted the exports of the run; the packed rows are not
        checked then.
    """
    root, relative = directory.root, directory.relative
    if relative not in read_dropped(root) or not PackedPlace(root).is_there:
        return False
    from runlake.history.frames.answer_types import answer_types
    from runlake.lake.packed.page_checksums import damaged_bounds
    from runlake.lake.packed.read import PackedRead
    from runlake.lake.packed.view import open_view
    from runlake.values import Question

    try:
        view = open_view(root)
        number = None if view is None else view.current().get(relative)
        if view is None or number is None:
            return False
        files = chain.from_iterable(view.files.values())
        damaged = chain.from_iterable(map(damaged_bounds, files))
        if any(first <= number <= last for first, last in damaged):
            return False
        read = PackedRead(view, Question(), {relative: number})
        columns = read.readings({relative: directory.run})[relative].columns
        rows = read.frame_of(number, answer_types([columns], None))
    except RunlakeError:
        return False
    return rows.height == view.n_rows[number]
