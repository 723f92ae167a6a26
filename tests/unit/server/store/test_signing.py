import time
from urllib.parse import parse_qs, urlsplit

import pytest

from runlake.server.store.database import Database
from runlake.server.store.signing import UrlSigner


@pytest.fixture
def signer(tmp_path):
    return UrlSigner(Database(tmp_path / "runlake.sqlite"), "http://h", 60.0)


def parts(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_signature_is_for_one_method_object_and_digest(signer):
    signed = parts(signer.sign("PUT", "files/1/a", 7, "ab"))
    given = ("7", signed["expires"], signed["signature"], "ab")
    assert signer.allows("PUT", "files/1/a", *given)
    assert not signer.allows("GET", "files/1/a", *given)
    assert not signer.allows("PUT", "files/1/b", *given)
    for at, other in enumerate(("8", str(int(signed["expires"]) + 1), "x", "cd")):
        changed = [*given[:at], other, *given[at + 1 :]]
        assert not signer.allows("PUT", "files/1/a", *changed)


def test_a_signature_to_download_also_allows_a_look_at_the_headers(signer):
    signed = parts(signer.sign("GET", "a", 7))
    assert signer.allows("HEAD", "a", "7", signed["expires"], signed["signature"], "")


def test_a_name_cannot_imitate_the_other_parts_of_the_signed_text(signer):
    signed = parts(signer.sign("PUT", "files/1/a\n7", 8))
    given = (signed["expires"], signed["signature"], "")
    assert not signer.allows("PUT", "files/1/a", "7\n8", *given)
    assert not signer.allows("PUT", 'files/1/a", "7', "8", *given)


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "9" * 5000, "٣" * 10, "1"])
def test_an_odd_or_past_expiry_is_refused(signer, expires):
    assert not signer.allows("GET", "a", "1", expires, "x", "")


def test_a_url_expires(tmp_path):
    signer = UrlSigner(Database(tmp_path / "runlake.sqlite"), "http://h", -10.0)
    signed = parts(signer.sign("GET", "a", 7))
    assert int(signed["expires"]) < time.time()
    assert not signer.allows("GET", "a", "7", signed["expires"], signed["signature"], "")


def test_urls_outlive_a_restart(signer, tmp_path):
    signed = parts(signer.sign("GET", "a", 7))
    again = UrlSigner(Database(tmp_path / "runlake.sqlite"), "http://h", 60.0)
    assert again.allows("GET", "a", "7", signed["expires"], signed["signature"], "")
