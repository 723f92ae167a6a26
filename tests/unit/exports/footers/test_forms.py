"""The check of footers takes files with many columns of any type."""

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.forms import WALKS_BEFORE_FORM
from runlake.exports.footers.soundness import check_file


def test_a_file_of_many_small_integers_is_sound(tmp_path):
    file = tmp_path / "a.parquet"
    kinds = [pa.uint8(), pa.int16(), pa.uint64(), pa.timestamp("us"), pa.decimal128(5, 2)]
    keys = range(2 * WALKS_BEFORE_FORM)
    columns = {f"key{'x' * (key % 70)}{key}": pa.array([1], kinds[key % 5]) for key in keys}
    pq.write_table(pa.table(columns), file)
    for _ in range(3):
        check_file(file)
