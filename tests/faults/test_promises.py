"""A host's promised digests of an export are compared, however it was downloaded."""

import base64
import gzip
import hashlib
import io
import itertools

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake import errors
from runlake.cache.upkeep.check import verify_cache
from runlake.exports import verify
from runlake.exports.download import storage_host as source
from runlake.exports.validator import Validator

SMALL_ROWS = 500
KEYS = {"whole": None, "by keys": ["loss"]}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Request wrong bytes again without a pause."""
    monkeypatch.setattr(source, "CORRUPT_SECONDS", 0.0)


def small_export():
    """Return an export of plain numbers, so small that the request for its tail returns it all."""
    columns = {"_step": range(SMALL_ROWS), "loss": [n / 7 for n in range(SMALL_ROWS)]}
    sink = io.BytesIO()
    pq.write_table(
        pa.table({k: list(v) for k, v in columns.items()}),
        sink,
        compression="none",
        use_dictionary=False,
    )
    return sink.getvalue()


def changed(content):
    """Return the same file with another value of the key 'loss' in its middle."""
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(1)
    at = chunk.data_page_offset + chunk.total_compressed_size // 2
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def encoded(digest):
    return base64.b64encode(digest).decode()


def md5(content):
    return encoded(hashlib.md5(content).digest())


def crc32c(content):
    return encoded(google_crc32c.value(content).to_bytes(4, "big"))


PROMISES = {
    "MD5 as ETag": lambda content: {"ETag": f'"{hashlib.md5(content).hexdigest()}"'},
    "Google": lambda content: {"x-goog-hash": f"crc32c={crc32c(content)},md5={md5(content)}"},
    "Google's MD5": lambda content: {"x-goog-hash": f"md5={md5(content)}"},
    "S3's CRC32C": lambda content: {"x-amz-checksum-crc32c": crc32c(content)},
    "Azure": lambda content: {"x-ms-blob-content-md5": md5(content)},
    "RFC 1864": lambda content: {"Content-MD5": md5(content)},
}


def open_run(faulty):
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def losses(rows):
    return [row["loss"] for row in rows]


@pytest.mark.parametrize(
    ("promise", "how"),
    [("Google", "whole"), *((promise, "by keys") for promise in PROMISES)],
)
def test_wrong_bytes_are_published_whatever_way_they_came_only_if_nothing_was_promised(
    faulty, promise, how
):
    right = small_export()
    faulty.offer(a=right)
    faulty.objects["a"].headers |= PROMISES[promise](right)
    # The first answer brings other bytes, the next ones the right ones.
    wrong = Fault(before=lambda: setattr(faulty.objects["a"], "content", changed(right)))
    mend = Fault(before=lambda: setattr(faulty.objects["a"], "content", right))
    faulty.fail("a", wrong, mend)
    run = open_run(faulty)
    assert losses(run.beta_scan_history(KEYS[how])) == [n / 7 for n in range(SMALL_ROWS)]
    assert losses(run.beta_scan_history(KEYS[how])) == [n / 7 for n in range(SMALL_ROWS)]
    assert faulty.count("a") == 2


@pytest.mark.parametrize("how", KEYS)
def test_bytes_that_stay_wrong_are_an_error_and_not_kept(faulty, how):
    right = small_export()
    faulty.offer(a=changed(right))
    faulty.objects["a"].headers |= PROMISES["RFC 1864"](right)
    run = open_run(faulty)
    with pytest.raises(errors.ExportCorrupt, match="is not the promised one"):
        list(run.beta_scan_history(KEYS[how]))
    assert not list(run._client.settings.cache_dir.rglob("*.parquet"))


def test_ranges_that_complete_a_file_keep_its_promise_or_are_fetched_again(faulty, wide_export):
    faulty.offer(a=wide_export)
    faulty.objects["a"].headers |= PROMISES["Google"](wide_export)
    run = open_run(faulty)
    list(run.beta_scan_history(["key001"]))
    at = len(wide_export) // 2
    flipped = wide_export[:at] + bytes([wide_export[at] ^ 1]) + wide_export[at + 1 :]
    faulty.objects["a"].content = flipped
    with pytest.raises(errors.ExportCorrupt):
        run.frame()
    faulty.objects["a"].content = wide_export
    assert run.frame().equals(open_run(faulty).frame())
    (file,) = run.pull().directory.glob("*.parquet")
    assert file.read_bytes() == wide_export


CONTRADICTIONS = {
    "Google's list": lambda c, o: {"x-goog-hash": f"crc32c={crc32c(c)},md5={md5(o)}"},
    "Google's list, turned": lambda c, o: {"x-goog-hash": f"md5={md5(o)}, crc32c={crc32c(c)}"},
    "CRC32C wrong": lambda c, o: {"x-goog-hash": f"crc32c={crc32c(o)},md5={md5(c)}"},
    "two hosts' headers": lambda c, o: {"x-amz-checksum-crc32c": crc32c(c), "Content-MD5": md5(o)},
    "two MD5s": lambda c, o: {"x-goog-hash": f"md5={md5(c)}", "Content-MD5": md5(o)},
    "two lines": lambda c, o: {"Content-MD5": f"{md5(c)}, {md5(o)}"},
    "ETag": lambda c, o: {
        "x-amz-checksum-crc32c": crc32c(c),
        "ETag": f'"{hashlib.md5(o).hexdigest()}"',
    },
}


@pytest.mark.parametrize(
    ("name", "how"),
    [("two hosts' headers", "whole"), *((name, "by keys") for name in CONTRADICTIONS)],
)
def test_two_digests_that_disagree_are_both_compared(faulty, name, how):
    content = small_export()
    faulty.offer(a=content)
    faulty.objects["a"].headers |= CONTRADICTIONS[name](content, b"other")
    with pytest.raises(errors.ExportCorrupt, match="is not the promised one"):
        list(open_run(faulty).beta_scan_history(KEYS[how]))


MALFORMED = [
    {"Content-MD5": "not base64"},
    {"Content-MD5": "d41d8cd98f00b204e9800998ecf8427e"},
    {"x-goog-hash": "md5=,crc32c=AAAA"},
    {"x-goog-hash": "sha256=AAAA"},
    {"x-amz-checksum-crc32c": "AAAAAA==-3"},
    {"ETag": '"0123456789abcdef0123456789abcdef-2"'},
]


@pytest.mark.parametrize("headers", MALFORMED, ids=[str(n) for n in range(len(MALFORMED))])
def test_a_malformed_digest_promises_nothing(headers):
    assert not Validator.from_headers({k.lower(): v for k, v in headers.items()}).promises_digest


def test_the_md5_of_a_part_is_not_compared_with_the_whole_file():
    part = {"content-md5": md5(b"x"), "content-range": "bytes 0-0/9"}
    whole = {"content-md5": md5(b"x"), "content-range": "bytes 0-0/1"}
    assert Validator.from_headers(part, 206).md5 is None
    assert Validator.from_headers(whole, 206).md5 == hashlib.md5(b"x").hexdigest()


def test_a_large_export_is_compared_by_crc32c_at_once_and_by_md5_in_verify(faulty, monkeypatch):
    content = small_export()
    monkeypatch.setattr(verify, "SMALL_BYTES", len(content) - 1)
    faulty.offer(a=content)
    faulty.objects["a"].headers |= CONTRADICTIONS["Google's list"](content, b"other")
    run = open_run(faulty)
    assert len(list(run.beta_scan_history())) == SMALL_ROWS
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert len(checked.damaged) == 1
    # A promise that is kept is no damage.
    faulty.objects["a"].headers |= PROMISES["Google"](content)
    run.pull(use_cache=False)
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert not checked.damaged


def test_a_digest_of_the_first_answer_holds_for_the_resumed_download(faulty, fetcher):
    content = export_bytes()
    faulty.store("a", content)
    promise = {"Content-MD5": md5(b"other")}
    # Only whole answers have it; the part that follows a cut has none.
    cut = Fault(cut_after=60_000, headers=promise)
    faulty.fail("a", *itertools.chain(*[(cut, Fault())] * 3))
    with pytest.raises(errors.ExportCorrupt, match="MD5"):
        fetcher().download()


def test_a_partial_answer_that_is_the_whole_file_is_accepted_for_a_plain_request(faulty, fetcher):
    content = export_bytes()
    faulty.store("a", content)
    headers = {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"}
    faulty.fail("a", Fault(status=206, body=content, headers=headers))
    assert fetcher().download()[1] == content
    assert faulty.count("a") == 1


ENCODINGS = ["gzip", "GZIP", "aws-chunked", "identity", "aws-chunked,gzip", "br", "deflate"]


@pytest.mark.parametrize(
    ("encoding", "how"),
    [("gzip", "whole"), ("br", "whole"), *((encoding, "by keys") for encoding in ENCODINGS)],
)
def test_an_encoding_that_a_host_replays_is_not_believed_of_plain_bytes(faulty, encoding, how):
    content = small_export()
    faulty.offer(a=content)
    faulty.objects["a"].headers |= {"Content-Encoding": encoding, **PROMISES["Google"](content)}
    run = open_run(faulty)
    assert losses(run.beta_scan_history(KEYS[how])) == [n / 7 for n in range(SMALL_ROWS)]
    assert faulty.count("a") == 1


def test_columns_are_read_by_ranges_although_an_encoding_is_replayed(faulty, wide_export):
    faulty.offer(a=wide_export)
    faulty.objects["a"].headers["Content-Encoding"] = "gzip"
    run = open_run(faulty)
    assert len(list(run.beta_scan_history(["key001"]))) == 6_000
    assert faulty.n_bytes("a") < len(wide_export) // 10
    faulty.fail("a", Fault(cut_after=100_000), Fault(cut_after=100_000))
    assert run.frame().height == 6_000
    assert faulty.n_bytes("a") < len(wide_export) * 1.1


def test_a_cut_download_is_resumed_although_an_encoding_is_replayed(faulty, fetcher, export):
    faulty.store("a", export)
    faulty.objects["a"].headers["Content-Encoding"] = "gzip"
    faulty.fail("a", Fault(cut_after=60_000))
    fetching = fetcher()
    assert fetching.download()[1] == export
    assert [seen.range for seen in faulty.seen] == [None, "bytes=60000-"]


@pytest.mark.parametrize("of", ["encoded", "plain"])
@pytest.mark.parametrize("header", ["gzip", None])
def test_gzip_is_known_by_its_bytes_and_the_promise_may_be_of_either_form(faulty, of, header):
    content = small_export()
    faulty.offer(a=content)
    zipped = gzip.compress(content)
    faulty.objects["a"].content = zipped
    faulty.objects["a"].headers |= PROMISES["RFC 1864"](zipped if of == "encoded" else content)
    if header:
        faulty.objects["a"].headers["Content-Encoding"] = header
    run = open_run(faulty)
    assert losses(run.beta_scan_history()) == [n / 7 for n in range(SMALL_ROWS)]
    (checked,) = verify_cache(run._client.settings.cache_dir, 10)
    assert not checked.damaged


SUFFIX_FAULTS = {
    "bad request": Fault(400),
    "not satisfiable": Fault(416),
    "not implemented": Fault(501),
    "server error": Fault(500),
    "hung up": Fault(cut_after=0),
    "cut": Fault(cut_after=100),
    "whole": Fault(ignores_range=True),
    "the first bytes": Fault(headers={"Content-Range": "bytes 0-65535/9999999"}),
    "fewer": Fault(headers={"Content-Range": "bytes 9999990-9999998/9999999"}),
}


@pytest.mark.parametrize("name", SUFFIX_FAULTS)
def test_a_host_without_suffix_ranges_is_read_and_gets_no_suffix_range_again(
    faulty, wide_export, name
):
    faulty.suffix_fault = SUFFIX_FAULTS[name]
    faulty.offer(a=wide_export)
    run = open_run(faulty)
    expected = pq.read_table(io.BytesIO(wide_export), columns=["_step", "key001"]).to_pylist()
    assert list(run.beta_scan_history(["key001"])) == expected
    faulty.offer(b=wide_export)
    faulty.run["heartbeatAt"] = "2026-01-02T00:00:00"
    assert list(run.beta_scan_history(["key001"])) == expected
    asked = [seen.range for seen in faulty.seen if seen.path.endswith("/b")]
    assert not any(span.startswith("bytes=-") for span in asked)
    assert faulty.n_bytes("b") < len(wide_export) // 10


def test_a_host_without_any_ranges_is_asked_for_whole_exports_from_then_on(faulty, wide_export):
    offered = []
    run = open_run(faulty)
    for n, name in enumerate("abc"):
        offered.append(name)
        faulty.offer(**{name: wide_export})
        faulty.run["heartbeatAt"] = f"2026-01-0{n + 2}T00:00:00"
        faulty.fail(name, *[Fault(ignores_range=True)] * 3)
        assert len(list(run.beta_scan_history(["key001"]))) == 6_000
    assert [faulty.count(name) for name in offered] == [2, 2, 1]


def test_a_passing_fault_does_not_make_a_host_one_without_suffix_ranges(faulty, wide_export):
    run = open_run(faulty)
    for n, name in enumerate("ab"):
        faulty.offer(**{name: wide_export})
        faulty.run["heartbeatAt"] = f"2026-01-0{n + 2}T00:00:00"
        faulty.fail(name, Fault(503))
        assert len(list(run.beta_scan_history(["key001"]))) == 6_000
        asked = [seen.range for seen in faulty.seen if seen.path.endswith(name)]
        assert asked[:2] == ["bytes=-65536"] * 2


def test_page_checksums_are_checked_where_pyarrow_decodes(faulty):
    sink = io.BytesIO()
    # polars does not know decimals of 50 digits, so pyarrow decodes.
    big = pa.array([0] * SMALL_ROWS, pa.decimal256(50, 2))
    columns = {"_step": range(SMALL_ROWS), "loss": [n / 7 for n in range(SMALL_ROWS)], "big": big}
    pq.write_table(
        pa.table(columns), sink, compression="none", use_dictionary=False, write_page_checksum=True
    )
    content = sink.getvalue()
    faulty.offer(a=changed(content))
    mend = Fault(before=lambda: setattr(faulty.objects["a"], "content", content))
    faulty.fail("a", Fault(), mend)
    rows = open_run(faulty).beta_scan_history(["loss", "big"])
    assert losses(rows) == [n / 7 for n in range(SMALL_ROWS)]
    assert faulty.count("a") == 2
