"""Records of `.wandb` files: whole, cut off at any byte, damaged, and no such file."""

import pytest
from tests.wandb_files import START, written

from runlake.lake.local.framing import BLOCK, HEADER, NotRecorded, RecordFile

RECORDS = [b"a", b"b" * 100, b"", b"c" * (2 * BLOCK), b"d" * (BLOCK - 200), b"e"]


def read(path, content):
    path.write_bytes(content)
    file = RecordFile(path)
    return list(file.records()), file


def test_all_records_are_read(tmp_path):
    found, file = read(tmp_path / "run.wandb", written(RECORDS))
    assert found == RECORDS
    assert file.damage is None


@pytest.mark.parametrize("n_bytes", [8, 13, 14, 16, 200, BLOCK - 1, BLOCK, BLOCK + 3, 2 * BLOCK])
def test_a_file_that_is_cut_off_has_the_records_before(tmp_path, n_bytes):
    content = written(RECORDS)
    found, file = read(tmp_path / "run.wandb", content[:n_bytes])
    assert found == RECORDS[: len(found)]
    assert len(found) < len(RECORDS)
    assert file.is_cut_off == (file.damage is not None)
    assert file.is_cut_off or written(found) == content[:n_bytes]


def test_damage_ends_the_records(tmp_path):
    content = bytearray(written(RECORDS))
    content[HEADER.size + 8 + 50] ^= 1
    found, file = read(tmp_path / "run.wandb", bytes(content))
    assert found == RECORDS[:1]
    assert "checksum of the record at byte 15" in file.damage
    assert not file.is_cut_off


def test_zeros_that_a_crash_left_are_a_cut(tmp_path):
    found, file = read(tmp_path / "run.wandb", written(RECORDS[:2]) + bytes(500))
    assert found == RECORDS[:2]
    assert file.is_cut_off


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 bytes"),
        (START[:3], "cut off in its header"),
        (b"text", "no file of the W&B SDK"),
        (b":W&B\xe1\xbe\x01", "version 1"),
    ],
)
def test_other_files_are_refused(tmp_path, content, why):
    with pytest.raises(NotRecorded, match=why):
        read(tmp_path / "run.wandb", content)
