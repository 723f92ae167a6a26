"""Laws of eviction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.cache.upkeep.prune import Entry, EntryFile, Policy, plan_pruning
from runlake.errors import InvalidArgument
from runlake.values import DAY, RunPath

NOW = 1000.0 * DAY
MOMENTS = st.integers(0, 1002).map(lambda day: day * DAY)
FILES = st.lists(
    st.builds(EntryFile, st.sampled_from("abcdef"), st.integers(0, 100), st.none() | MOMENTS),
    max_size=4,
    unique_by=lambda file: file.name,
).map(tuple)
CACHES = st.lists(
    st.builds(
        Entry,
        st.builds(RunPath, st.just("e"), st.sampled_from("pq"), st.sampled_from("123456")),
        st.just("http://h"),
        FILES,
        MOMENTS,
        MOMENTS,
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda entry: entry.run,
)
SIZES = st.none() | st.integers(0, 500)
POLICIES = st.builds(
    Policy,
    SIZES,
    st.none() | st.integers(0, 1000).map(lambda days: days * DAY),
    st.sampled_from([(), ("e",), ("e/p",), ("e/*/[1-3]", "e/q/4")]),
)


def after(cache, pruning):
    """Return the cache after the files are deleted."""
    gone = {release.entry.run: release for release in pruning.releases}
    left = []
    for entry in cache:
        release = gone.get(entry.run)
        if release is None:
            left.append(entry)
        elif not release.is_whole:
            names = {file.name for file in release.files}
            kept = tuple(file for file in entry.files if file.name not in names)
            left.append(replace(entry, files=kept))
    return left


@given(CACHES, POLICIES)
def test_pinned_and_unaffected_runs_stay(cache, policy):
    for release in plan_pruning(cache, policy, NOW).releases:
        assert not release.entry.is_pinned
        assert policy.concerns(release.entry.run)


@given(CACHES, POLICIES, st.randoms())
def test_the_order_of_the_cache_means_nothing(cache, policy, random):
    shuffled = cache.copy()
    random.shuffle(shuffled)
    assert plan_pruning(shuffled, policy, NOW) == plan_pruning(cache, policy, NOW)


@given(CACHES, POLICIES)
def test_the_bytes_add_up(cache, policy):
    pruning = plan_pruning(cache, policy, NOW)
    left = [entry for entry in after(cache, pruning) if policy.concerns(entry.run)]
    assert pruning.n_bytes_after == sum(entry.n_bytes for entry in left)
    freed = sum(release.n_bytes for release in pruning.releases)
    assert pruning.n_bytes_before - freed == pruning.n_bytes_after


@given(CACHES, POLICIES)
def test_the_remaining_runs_fit_unless_they_are_pinned(cache, policy):
    pruning = plan_pruning(cache, policy, NOW)
    if policy.max_bytes is not None and pruning.n_bytes_after > policy.max_bytes:
        assert not pruning.is_enough
        left = [entry for entry in after(cache, pruning) if policy.concerns(entry.run)]
        assert all(entry.is_pinned or not entry.n_bytes for entry in left)
    else:
        assert pruning.is_enough


@given(CACHES, POLICIES)
def test_once_it_is_done_there_is_nothing_left_to_do(cache, policy):
    left = after(cache, plan_pruning(cache, policy, NOW))
    assert plan_pruning(left, policy, NOW).releases == ()


@given(CACHES, st.integers(0, 500))
def test_no_run_goes_for_room_while_an_older_one_stays(cache, max_bytes):
    pruning = plan_pruning(cache, Policy(max_bytes), NOW)
    for_room = [r.entry for r in pruning.releases if r.reason == "no room"]
    gone = {release.entry.run for release in pruning.releases if release.is_whole}
    staying = [c for c in cache if c.run not in gone and not c.is_pinned and c.n_bytes]
    staying = [c for c in after(staying, pruning) if c.n_bytes]
    for entry in staying:
        for released in for_room:
            assert min(entry.last_used_at, NOW) >= min(released.last_used_at, NOW)


@given(CACHES, st.integers(0, 500))
def test_no_more_runs_go_for_room_than_have_to(cache, max_bytes):
    pruning = plan_pruning(cache, Policy(max_bytes, grace=10_000 * DAY), NOW)
    if pruning.releases:
        assert pruning.n_bytes_after + pruning.releases[-1].n_bytes > max_bytes


@given(CACHES, st.integers(0, 500), st.integers(0, 500))
def test_more_room_never_lets_more_go(cache, one, other):
    small, large = (plan_pruning(cache, Policy(size), NOW) for size in sorted((one, other)))

    def whole(pruning):
        return {release.entry.run for release in pruning.releases if release.is_whole}

    assert whole(large) <= whole(small)


@given(CACHES, st.integers(0, 1000))
def test_exactly_the_unpinned_runs_of_that_age_go(cache, days):
    pruning = plan_pruning(cache, Policy(max_age=days * DAY), NOW)
    gone = {release.entry.run for release in pruning.releases if release.is_whole}
    old = {c.run for c in cache if NOW - min(c.last_used_at, NOW) >= days * DAY and not c.is_pinned}
    assert gone == old


def test_an_export_that_is_no_longer_offered_goes_after_a_day():
    files = (
        EntryFile("offered", 1),
        EntryFile("today", 1, NOW - DAY + 1),
        EntryFile("yesterday", 1, NOW - DAY),
    )
    entry = Entry(RunPath("e", "p", "r"), "http://h", files, NOW, NOW)
    (release,) = plan_pruning([entry], Policy(), NOW).releases
    assert [file.name for file in release.files] == ["yesterday"]
    assert (release.reason, release.is_whole) == ("no longer offered", False)
    assert plan_pruning([replace(entry, is_pinned=True)], Policy(), NOW).releases == ()


def test_patterns_alone_evict_the_matching_runs():
    cache = [
        Entry(RunPath("e", project, run_id), "http://h", (EntryFile("a", 1),), NOW, NOW)
        for project in ("p", "q")
        for run_id in ("run-1", "run-2", "x")
    ]

    def gone(*patterns):
        pruning = plan_pruning(cache, Policy(runs=patterns), NOW)
        return [str(release.entry.run) for release in pruning.releases]

    assert gone("e/p/run-*") == ["e/p/run-1", "e/p/run-2"]
    assert gone("e/q") == ["e/q/run-1", "e/q/run-2", "e/q/x"]
    assert gone("E/p") == []


@pytest.mark.parametrize("pattern", ["", "e//r", "a/b/c/d", "/e"])
def test_an_invalid_pattern_is_refused(pattern):
    with pytest.raises(InvalidArgument, match="pattern"):
        Policy(runs=(pattern,))
