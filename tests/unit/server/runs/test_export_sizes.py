import itertools

from runlake.server.runs.export_sizes import MAX_LIVE_BYTES, MAX_LIVE_ROWS, is_due


def run(n_lines, n_exported, state="running", live_bytes=0):
    return {
        "line_count": n_lines,
        "exported_count": n_exported,
        "state": state,
        "live_bytes": live_bytes,
    }


def test_a_run_of_two_million_rows_has_at_most_60_exports():
    exports = [0]
    for n_lines in range(0, 2_000_001, 100):
        if is_due(run(n_lines, exports[-1]), None):
            exports.append(n_lines)
    sizes = [stop - start for start, stop in itertools.pairwise(exports)]
    assert len(sizes) <= 60
    assert sizes[0] == 10_000
    assert max(sizes) == MAX_LIVE_ROWS == 50_000
    assert all(size * 8 >= min(start, 400_000) for start, size in zip(exports, sizes, strict=False))


def test_rows_per_export_that_are_given_do_not_grow():
    assert not is_due(run(1_000_009, 1_000_000), 10)
    assert is_due(run(1_000_010, 1_000_000), 10)


def test_long_lines_and_the_end_of_a_run_make_an_export_due():
    assert is_due(run(1, 0, live_bytes=MAX_LIVE_BYTES), None)
    assert is_due(run(1, 0, state="crashed"), None)
    assert not is_due(run(1, 1, state="crashed"), None)
