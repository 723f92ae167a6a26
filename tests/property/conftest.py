from __future__ import annotations

import hypothesis
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Draw few examples: each writes files and reads them in every way.

    ``make thorough`` draws many. A profile named on the command line wins. The number of examples
    is fixed when a test is decorated, so while its module is imported.
    """
    profile = hypothesis.settings.get_current_profile_name()
    if profile not in {"default", "ci"}:
        return (yield)
    usual = hypothesis.settings.get_profile(profile)
    hypothesis.settings.register_profile("some", usual, max_examples=40)
    hypothesis.settings.load_profile("some")
    try:
        return (yield)
    finally:
        hypothesis.settings.load_profile(profile)
