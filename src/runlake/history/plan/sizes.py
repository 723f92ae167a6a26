"""Sizes of slices, batches and windows: how much is read, decoded and built at once.

All sizes were found by measurements, see docs/explanation/reading.md. Small slices are decoded
sooner and stay in the processor's cache. But each slice costs function calls, and a divided row
group is opened again for each of its slices.
"""

from __future__ import annotations

# Cells decoded at once: below some hundred thousand the cost per call is noticeable, above some
# millions only memory use grows.
CELLS_PER_SLICE = 1 << 22
MIN_ROWS = 64
# A row group of numbers up to this size is one slice. If it is divided, it is opened again for each
# slice: 10 to 25 ms for a row group of a million rows, 130 ms for one of 10,000 keys.
CELLS_PER_ROW_GROUP = 2 * CELLS_PER_SLICE
# The first slice is small, because the caller waits for it. Most of the time is needed to open a
# page of each column: with 503 keys, 16 rows and 260 rows take 2.6 ms, 4,096 rows 3.5 ms. Strings
# may be long, so the number of rows of this slice is limited too.
CELLS_IN_FIRST_SLICE = 1 << 17
ROWS_IN_FIRST_SLICE = 1000
# A caller that wants a single row waits for the first rows. With many keys, these rows are
# converted directly to dicts, because the cost of arrays is the same for any small number of rows.
CELLS_IN_FIRST_ROWS = 1 << 11
# Small exports with equal columns are decoded together up to this size: beginning a query takes as
# long as decoding 50,000 cells. If more were decoded at once, no rows would be built in the
# meantime.
CELLS_OF_FILES = 1 << 19
# The caller waits for these slices while few other threads work.
SLICES_WAITED_FOR = 2
COLUMNS_WORTH_A_THREAD = 250
# In a row group larger than this, rows are found by a search for their steps.
CELLS_WORTH_A_SEARCH = 1 << 18
# One step per this many rows of a searched row group stays in memory.
ROWS_PER_KNOWN_STEP = 1 << 12
PYARROW_ROWS = 4096

# Frames and streams.
CELLS_PER_BATCH = 1 << 21
# Before a row group can be decoded, it is opened, which takes as long as decoding some thousand of
# its rows. So a batch of numbers has at least this many rows, unless these have more cells than the
# next limit (256 MiB).
ROWS_WORTH_ENTERING = 1000
CELLS_PER_WIDE_BATCH = 1 << 25
# A file's dictionary contains a repeated string once, but Arrow arrays contain the string once per
# row. This limits the size of the copies.
TEXT_BYTES_PER_BATCH = 1 << 26
ROWS_PER_SQL_BATCH = 2048
# Above this number of rows the best value is found batch by batch, by opening each export twice:
# 90 ms and 33 MB for 20,000,000 cells. One query would take 400 ms and hold the whole column,
# 350 MB.
ROWS_COMPARED_AT_ONCE = 1 << 19
ROWS_PER_LOOK = 1 << 16

# Rows as dicts: small enough that the intermediate lists stay in the processor's cache.
CELLS_PER_BUILD = 1 << 13
# Fewer cells if a piece costs only one slice of a numpy array per column.
CELLS_PER_DENSE_BUILD = 1 << 12
# The fixed cost of a column, expressed as a number of cells: each column of a piece takes two
# microseconds, even for a few rows.
CELLS_PER_COLUMN = 200
MIN_BUILD_ROWS = 64
# Rows of more full columns are made from a matrix, which takes half the time for 10,000 keys.
MAX_GENERATED_KEYS = 256
KEYS_WORTH_CODE = 4
COLUMNS_WORTH_A_MATRIX = 8
# Rows of many numbers are made from matrices of this many rows.
ROWS_PER_MATRIX = 256

# Merging by step.
CELLS_PER_WINDOW = 1 << 22
MERGED_ROWS = 1024

LIVE_PAGE_ROWS = 2000
FOLLOWED_ROWS = 1000


def rows_of(n_cells: int, n_columns: int) -> int:
    """Return how many rows of ``n_columns`` columns and ``_step`` fit in ``n_cells`` cells.

    The result is at least `MIN_ROWS`.
    """
    return max(MIN_ROWS, n_cells // (n_columns + 1))


def rows_per_slice(n_columns: int, n_sharing: int = 1) -> int:
    """Return how many rows of an export to decode at once if ``n_sharing`` exports share memory."""
    return rows_of(CELLS_PER_SLICE // n_sharing, n_columns)


def whole_rows(n_columns: int, n_sharing: int = 1) -> int:
    """Return the maximum number of rows of a numeric row group that is decoded at once."""
    least = min(ROWS_WORTH_ENTERING, CELLS_PER_WIDE_BATCH // (n_columns + 1))
    return max(CELLS_PER_ROW_GROUP // (n_columns + 1), least) // n_sharing
