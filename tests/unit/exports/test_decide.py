"""What to do about an export on offer, from what is on disk."""

import pytest

from runlake.exports.decide import Decision, Held, decide
from runlake.exports.manifest import Export, Freshness, Manifest
from runlake.values import RunPath

URL = "http://s/a?sig=1"
GOOD, SPARSE, GONE = Held(True, True), Held(True, False), Held(False, False)
OFFERED = Manifest(RunPath("e", "p", "r"), "running", "t1", 5, 4, {}, (Export(URL),), ())


@pytest.mark.parametrize(
    ("held", "is_fresh", "use_cache", "decision"),
    [
        (GOOD, True, True, Decision.REUSE),
        (GOOD, False, True, Decision.REVALIDATE),
        # A run that went on may have replaced the file whose columns are missing.
        (SPARSE, False, True, Decision.REVALIDATE),
        (SPARSE, True, True, Decision.EXTEND),
        (GONE, True, True, Decision.FETCH),
        (None, True, True, Decision.FETCH),
        (GOOD, True, False, Decision.FETCH),
        (SPARSE, False, False, Decision.FETCH),
    ],
)
def test_an_export_is_reused_only_if_it_is_intact_enough_and_the_run_unchanged(
    held, is_fresh, use_cache, decision
):
    freshness = OFFERED.freshness if is_fresh else Freshness("running", "t0", 5)
    known = {} if held is None else {"/a": held}
    assert decide(OFFERED, known, freshness, use_cache=use_cache) == {"/a": decision}


def test_files_that_are_no_longer_offered_need_no_decision():
    assert decide(OFFERED, {"/b": GOOD}, None, use_cache=True) == {"/a": Decision.FETCH}
