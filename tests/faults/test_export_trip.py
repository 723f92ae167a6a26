"""The way of an export through the code, from the decision to the published file, is short."""

import pytest
from tests.faults.export_trip import traced
from tests.faults.fault_server import API_KEY, RUN_PATH

import runlake

MAX_STOPS, MAX_CLIMBS = 20, 3


@pytest.mark.parametrize(
    ("content", "keys", "is_whole"),
    [
        ("export", None, True),
        ("export", ["loss"], True),
        ("wide_export", ["key003"], False),
    ],
    ids=["whole", "whole because it is small", "some columns"],
)
def test_the_trip_of_an_export_has_few_stops_and_climbs(faulty, request, content, keys, is_whole):
    content = request.getfixturevalue(content)
    faulty.offer(a=content)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    with traced() as trip:
        run.pull(keys)
    assert (faulty.n_bytes("a") >= len(content)) == is_whole
    assert trip.stops
    assert len(trip.stops) <= MAX_STOPS, f"{len(trip.stops)} stops:\n{trip}"
    assert len(trip.climbs) <= MAX_CLIMBS, trip.climbs
