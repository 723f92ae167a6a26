from __future__ import annotations

import hypothesis
import pytest

# No deadline and no check for slow draws: they would be assertions about wall time.
hypothesis.settings.register_profile(
    "few",
    max_examples=50,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Draw few examples: unit tests run often. A profile named on the command line wins.

    The number of examples is fixed when a test is decorated, so while its module is imported.
    """
    profile = hypothesis.settings.get_current_profile_name()
    if profile != "default":
        return (yield)
    hypothesis.settings.load_profile("few")
    try:
        return (yield)
    finally:
        hypothesis.settings.load_profile(profile)
