"""Files of numpy arrays, in which the SDK stores columns of tables."""

import io
import zipfile

import numpy as np
import pytest

from runlake.errors import ProtocolError
from runlake.history.tables import _load_array


def stored():
    content = io.BytesIO()
    np.savez_compressed(content, k=np.arange(60.0))
    return content.getvalue()


def encrypted(content):
    """Mark every member of an archive as encrypted."""
    changed = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + place] |= 1
    return bytes(changed)


def of_another_method(content):
    changed = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        changed[changed.index(mark) + place] = 97
    return bytes(changed)


def with_damaged_bytes(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.infolist()[0].header_offset + 50
    return content[:start] + b"\xff" * 40 + content[start + 40 :]


BROKEN = {
    "empty": lambda _: b"",
    "cut": lambda content: content[:-9],
    "encrypted": encrypted,
    "another method": of_another_method,
    "damaged": with_damaged_bytes,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_array_is_one_error_that_names_the_table(tmp_path, kind):
    file = tmp_path / "a.npz"
    file.write_bytes(stored())
    assert _load_array(file, "k", "tbl")[:2] == [0.0, 1.0]
    file.write_bytes(BROKEN[kind](stored()))
    with pytest.raises(ProtocolError, match="table 'tbl' cannot be read"):
        _load_array(file, "k", "tbl")
