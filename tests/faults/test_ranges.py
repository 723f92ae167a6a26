"""Tails and ranges of one version of an export, from hosts that fail."""

import threading

import pytest
from tests.faults.fault_script import Fault
from tests.faults.parquet import export_bytes

from runlake import errors
from runlake.exports.ranges import ByteRange
from runlake.exports.validator import Validator

WANTED = [ByteRange(10, 5_000), ByteRange(20_000, 90_000), ByteRange(100_000, 100_001)]


def tail(fetching, n_bytes=1000):
    return fetching.host().tail(n_bytes)


def ranges(fetching, validator, wanted=WANTED, *, n_workers=3):
    """Write ranges into an empty file, and return it."""
    file = fetching.directory / "sparse"
    with file.open("wb", buffering=0) as sparse:
        host = fetching.host(range_workers=n_workers)
        host.ranges(wanted, validator, None, sparse.fileno())
    return file.read_bytes()


def slices(content, wanted=WANTED):
    """Return the content of an empty file after ranges of a content were written to it."""
    held = bytearray(max(one.stop for one in wanted))
    for one in wanted:
        held[one.start : one.stop] = content[one.start : one.stop]
    return bytes(held)


def test_a_tail_is_the_end_of_the_object_and_gives_its_length(faulty, fetcher, export):
    faulty.store("a", export)
    found = tail(fetcher())
    assert (found.content, found.n_bytes) == (export[-1000:], len(export))
    assert found.start == len(export) - 1000
    assert faulty.count("a") == 1


def test_the_tail_of_a_short_object_is_all_of_it(faulty, fetcher):
    faulty.store("a", b"short")
    found = tail(fetcher())
    assert (found.start, found.content) == (0, b"short")


@pytest.mark.parametrize(
    ("fault", "tells"),
    [
        (Fault(ignores_range=True), ("etag",)),
        (Fault(), ("weak etag",)),
        (Fault(), ("",)),
        (Fault(gzipped=True), ("etag",)),
        (Fault(status=416), ("etag",)),
    ],
    ids=["no ranges", "weak version", "no version", "compressed", "not satisfiable"],
)
def test_no_tail_is_used_if_later_ranges_could_not_be_trusted(
    faulty, fetcher, export, fault, tells
):
    faulty.store("a", export, *tells)
    faulty.fail("a", fault)
    assert tail(fetcher()) is None


@pytest.mark.parametrize("status", [400, 501])
def test_a_host_that_refuses_the_end_of_an_object_of_known_length_has_no_tail(
    faulty, fetcher, export, status
):
    faulty.store("a", export)
    faulty.fail("a", status)
    assert fetcher().host().tail(1, len(export)) is None


def test_ranges_return_exactly_the_requested_bytes(faulty, fetcher, export):
    faulty.store("a", export)
    fetching = fetcher()
    validator = tail(fetching).validator
    n_before = fetching.n_bytes
    assert ranges(fetching, validator) == slices(export)
    assert fetching.n_bytes - n_before == sum(one.n_bytes for one in WANTED)


PASSING = {
    "cut": Fault(cut_after=1000),
    "stall": Fault(stall_after=1000),
    "slow drip": Fault(drip=(10, 0.05)),
    "server error": Fault(status=503),
    "expired": Fault(status=403),
    "redirect to another origin": Fault(redirect_to_mirror=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_of_some_ranges_is_overcome(faulty, fetcher, export, name):
    faulty.store("a", export)
    fetching = fetcher()
    validator = tail(fetching).validator
    faulty.fail("a", PASSING[name])
    assert ranges(fetching, validator) == slices(export)


def test_a_url_that_expires_under_many_workers_is_renewed_once(faulty, fetcher, export):
    faulty.store("a", export)
    fetching = fetcher()
    validator = tail(fetching).validator
    renewals = []
    meet = threading.Barrier(3)
    faulty.fail("a", *[Fault(403, before=lambda: meet.wait(10))] * 3)
    fetching.export_once, fetching.export = (
        fetching.export,
        lambda: (renewals.append(1), fetching.export_once())[1],
    )
    assert ranges(fetching, validator) == slices(export)
    assert len(renewals) == 2  # the first offer, and one renewal for three refusals


CHANGED = {
    "whole body": Fault(ignores_range=True),
    "precondition failed": Fault(status=412),
    "not satisfiable": Fault(status=416),
    "another ETag": Fault(headers={"ETag": '"other"'}),
    "another length": Fault(headers={"Content-Range": "bytes 20000-89999/99"}),
    "another range": Fault(headers={"Content-Range": "bytes 0-9/242678"}),
    "no Content-Range": Fault(headers={"Content-Range": ""}),
    "compressed": Fault(gzipped=True),
}


@pytest.mark.parametrize("name", CHANGED)
def test_bytes_of_another_version_never_arrive(faulty, fetcher, export, name):
    faulty.store("a", export)
    fetching = fetcher()
    validator = tail(fetching).validator
    faulty.fail("a", CHANGED[name])
    with pytest.raises(errors.ExportChanged):
        ranges(fetching, validator, [WANTED[1]])


def test_an_object_replaced_between_two_ranges_is_an_error_not_a_mixture(faulty, fetcher, export):
    faulty.store("a", export)
    fetching = fetcher()
    validator = tail(fetching).validator
    newer = export_bytes(seed=1)
    faulty.fail("a", Fault(), Fault(before=lambda: faulty.store("a", newer)))
    with pytest.raises(errors.ExportChanged, match="replaced"):
        ranges(fetching, validator, n_workers=1)
    held = (fetching.directory / "sparse").read_bytes()
    assert held == slices(export, WANTED[:1])


def test_the_first_range_that_fails_for_good_ends_the_others(faulty, fetcher, export):
    faulty.store("a", export)
    fetching = fetcher(timeout=600.0)
    validator = tail(fetching).validator
    stalled = threading.Event()
    faulty.fail("a", Fault(stall_after=10, before=stalled.set))
    faulty.fail("a", Fault(status=418, before=lambda: stalled.wait(10)))
    with pytest.raises(errors.ExportError, match="418"):
        ranges(fetching, validator, n_workers=2)


def test_a_version_without_a_strong_validator_is_never_continued():
    assert Validator('W/"a"', "Tue, 14 Nov 2023 22:13:20 GMT").condition is None
    assert Validator('"a"').is_same(Validator('"a"', "Tue, 14 Nov 2023 22:13:20 GMT"))
    assert not Validator('W/"a"').is_same(Validator('W/"a"'))
    assert not Validator().is_same(Validator())
