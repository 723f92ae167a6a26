"""A stop ends waits."""

from runlake.backend.http.stop import Stop


def test_a_stop_reaches_its_children_and_not_its_parent():
    parent = Stop()
    with parent.child() as first, parent.child() as second:
        first.set()
        assert (parent.is_set, second.is_set) == (False, False)
        parent.set()
        assert second.is_set
        with parent.child() as late:
            assert late.is_set
