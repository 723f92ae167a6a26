"""Versions of an object and their digests, from the headers of storage hosts."""

import base64
import hashlib
import zlib

import httpx
import pytest

from runlake.exports.validator import (
    CONTRADICTORY_CRC32C,
    CONTRADICTORY_MD5,
    Validator,
    is_whole,
)

MD5 = hashlib.md5(b"x").hexdigest()
MD5_64 = base64.b64encode(bytes.fromhex(MD5)).decode()
OTHER_64 = base64.b64encode(hashlib.md5(b"y").digest()).decode()
CRC = zlib.crc32(b"any four bytes")
CRC_64 = base64.b64encode(CRC.to_bytes(4, "big")).decode()
LATER = "Mon, 01 Jan 2024 00:00:01 GMT"
MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT"


def validator(status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Validator.from_headers(httpx.Headers(named), status)


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": f'"{MD5}"'},
        {"content_md5": MD5_64},
        {"x_goog_hash": f"crc32c={CRC_64}, md5={MD5_64}"},
        {"x_ms_blob_content_md5": MD5_64},
        # The header's digest wins over an ETag that only looks like one.
        {"etag": f'"{"0" * 32}"', "content_md5": MD5_64},
    ],
)
def test_an_md5_is_found_in_the_headers_of_every_host(headers):
    assert validator(**headers).md5 == MD5
    assert validator(**headers).promises_digest


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": f'"{MD5}-3"'},
        {"etag": f'W/"{MD5}"'},
        {"etag": f'"{MD5.upper()}"'},
        {"etag": f'"{MD5}"', "x_amz_server_side_encryption_aws_kms_key_id": "k"},
        {"etag": f'"{MD5}"', "x_amz_server_side_encryption_customer_algorithm": "AES256"},
        {"etag": f'"{MD5}"', "x_goog_encryption_kms_key_name": "k"},
        {"content_md5": "nonsense"},
        {"content_md5": base64.b64encode(b"short").decode()},
        {},
    ],
)
def test_an_etag_or_header_that_is_no_md5_promises_none(headers):
    assert validator(**headers).md5 is None


@pytest.mark.parametrize(
    "headers",
    [{"x_goog_hash": f"crc32c={CRC_64}"}, {"x_amz_checksum_crc32c": CRC_64}],
)
def test_a_crc32c_is_found_in_the_headers_of_every_host(headers):
    assert validator(**headers).crc32c == CRC


def test_two_digests_of_one_object_match_no_file():
    assert validator(content_md5=f"{MD5_64}, {OTHER_64}").md5 == CONTRADICTORY_MD5
    assert validator(content_md5=f"{MD5_64}, {MD5_64}").md5 == MD5
    one, other = validator(content_md5=MD5_64), validator(content_md5=OTHER_64)
    assert one.with_promises_of(other).md5 == CONTRADICTORY_MD5
    assert one.with_promises_of(Validator(crc32c=5)) == Validator(md5=MD5, crc32c=5)
    assert Validator(crc32c=5).with_promises_of(Validator(crc32c=6)).crc32c == CONTRADICTORY_CRC32C
    assert not one.without_promises().promises_digest


def test_the_digest_of_a_part_is_not_that_of_the_object():
    assert validator(206, content_md5=MD5_64, content_range="bytes 0-4/10").md5 is None
    assert validator(206, content_md5=MD5_64, content_range="bytes 0-9/10").md5 == MD5
    assert is_whole({"content-range": "bytes 0-9/10"})
    assert not is_whole({})


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"etag": '"a"', "last_modified": MODIFIED}, '"a"'),
        (
            {"etag": 'W/"a"', "last_modified": MODIFIED, "date": LATER},
            MODIFIED,
        ),
        ({"last_modified": MODIFIED, "date": LATER}, MODIFIED),
        # Within a second an object may have changed twice.
        ({"last_modified": MODIFIED, "date": MODIFIED}, None),
        ({"last_modified": MODIFIED}, None),
        ({"last_modified": "soon", "date": "now"}, None),
        ({"etag": 'W/"a"'}, None),
        ({}, None),
    ],
)
def test_only_a_strong_validator_is_a_condition_for_ranges(headers, condition):
    found = validator(**headers)
    assert found.condition == condition
    assert found.is_same(found) == (condition is not None)


def test_versions_are_the_same_by_their_strong_validator():
    assert not Validator('"a"').is_same(Validator('"b"'))
    assert Validator('"a"', md5="1").is_same(Validator('"a"', "then"))


def test_a_request_for_changes_names_the_etag_else_the_date():
    assert Validator('W/"a"', MODIFIED).conditions() == {"If-None-Match": 'W/"a"'}
    assert Validator(None, MODIFIED).conditions() == {"If-Modified-Since": MODIFIED}
    assert Validator().conditions() == {}
