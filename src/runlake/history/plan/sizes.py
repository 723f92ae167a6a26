"""How much is read, decoded and built at once: the sizes of slices, batches and windows.

Measured, see docs/explanation/reading.md. Small slices come soon and stay in the processor's cache;
each costs calls, and a row group that is cut is entered again for every slice.
"""

from __future__ import annotations

# Decoded at once: below some hundred thousand cells the cost per call shows, above some millions
# nothing is won but memory lost.
CELLS_PER_SLICE = 1 << 22
MIN_ROWS = 64
# A row group of numbers may be one slice up to here: to enter one of many keys takes long.
CELLS_PER_ROW_GROUP = 2 * CELLS_PER_SLICE
# The first slice is waited for. Texts may be long, hence the rows.
CELLS_IN_FIRST_SLICE = 1 << 17
ROWS_IN_FIRST_SLICE = 1000
# Its first rows are waited for by those who want a single one.
CELLS_IN_FIRST_ROWS = 1 << 11
# Slices that are waited for while little else works.
SLICES_WAITED_FOR = 2
COLUMNS_WORTH_A_THREAD = 250
# Rows in a larger row group are searched by their steps.
CELLS_WORTH_A_SEARCH = 1 << 18
PYARROW_ROWS = 4096

# Frames and streams.
CELLS_PER_BATCH = 1 << 21
# A dictionary holds a long text once, whatever many rows have it; Arrow's arrays hold it per row.
TEXT_BYTES_PER_BATCH = 1 << 26
ROWS_PER_SQL_BATCH = 2048
ROWS_PER_LOOK = 1 << 16

# Rows as dicts: the lists between stay in the processor's cache.
CELLS_PER_BUILD = 1 << 13
# To look at a column costs as much as to make so many cells.
CELLS_PER_COLUMN = 200
MIN_BUILD_ROWS = 64
MAX_GENERATED_KEYS = 256
KEYS_WORTH_CODE = 4
COLUMNS_WORTH_A_MATRIX = 8

# Merging by step.
CELLS_PER_WINDOW = 1 << 22
MERGED_ROWS = 1024

LIVE_PAGE_ROWS = 2000
FOLLOWED_ROWS = 1000


def rows_of(n_cells: int, n_columns: int) -> int:
    """Return how many rows of some columns and ``_step`` have so many cells."""
    return max(MIN_ROWS, n_cells // (n_columns + 1))


def rows_per_slice(n_columns: int, n_sharing: int = 1) -> int:
    """Return how many rows of an export are decoded at once, while so many exports are read."""
    return rows_of(CELLS_PER_SLICE // n_sharing, n_columns)
