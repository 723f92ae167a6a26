"""Headers that make no sense are ignored, or their answer is an error of runlake."""

import itertools
from contextlib import suppress

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake

BIG = "9" * 5000
NO_DATES = [
    f"Wed, {'9' * 20} Oct 2026 07:28:00 GMT",
    f"Wed, 21 Oct 2026 07:28:00 +{'9' * 20}",
    "\t",
]
NO_NUMBERS = [f"bytes 0-{BIG}/{BIG}", f"bytes {BIG}-{BIG}/*", "1e999", f"1;w={BIG}", "é"]
NO_DIGESTS = [BIG, "md5=é,crc32c==,=,,", "=" * 5000, "AAAAAA==", "crc32c=AAAAAAA="]
HEADERS = [
    *itertools.product(["Last-Modified", "Date", "Retry-After"], NO_DATES),
    *itertools.product(["Content-Range", "Retry-After", "X-RateLimit-Limit", "ETag"], NO_NUMBERS),
    *itertools.product(["Content-MD5", "x-goog-hash", "x-amz-checksum-crc32c"], NO_DIGESTS),
    *itertools.product(["Content-Encoding"], ["gzip, " * 50, ",", "é", "identity,"]),
    *itertools.product(["Set-Cookie"], ["é=1", "é", "a=\x80", "a=1; Expires=\t", BIG]),
]
N_ROWS = 40


def text_of(header):
    return f"{header[0]}: {header[1]:.30}"


@pytest.fixture(scope="module")
def content():
    return export_bytes(n_rows=N_ROWS)


@pytest.mark.parametrize("target", ["graphql", "a"])
@pytest.mark.parametrize("header", HEADERS, ids=text_of)
def test_a_header_that_makes_no_sense_is_ignored_or_one_error(faulty, content, target, header):
    faulty.offer(a=content)
    api = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY)
    name, value = header
    # Latin-1 as on the wire of HTTP/1.1.
    faulty.fail(target, Fault(headers={name: value.encode().decode("latin-1")}))
    with suppress(runlake.errors.RunlakeError):
        assert api.run(RUN_PATH).frame(["loss"]).height == N_ROWS
    assert [row["_step"] for row in api.run(RUN_PATH).scan_history()] == list(range(N_ROWS))


@pytest.mark.parametrize("text", NO_DATES)
def test_a_time_to_wait_that_makes_no_sense_is_ignored(faulty, content, text):
    faulty.offer(a=content)
    for target in ("graphql", "a"):
        faulty.fail(target, Fault(503, {"Retry-After": text}))
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert run.frame(["loss"]).height == N_ROWS
