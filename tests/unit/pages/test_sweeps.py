"""The pages of sweeps; the embedded backend has none."""

import pytest
from tests.unit.pages.test_addresses import answer_of

from runlake.pages.app import build_pages
from runlake.pages.source import ApiSource
from runlake.public.api import Api
from runlake.public.run.run import Run
from runlake.public.sweeps import Sweep

CONFIG = "name: <b>search</b>\nmethod: random\nmetric: {name: loss, goal: minimize}\n"
FIELDS = {"name": "x1", "state": "FINISHED", "method": "random", "config": CONFIG, "runCount": 1}


class Sweeps(ApiSource):
    """A project with one sweep of one run."""

    def project(self, *_):
        return self

    def sweeps(self):
        return [self.sweep("team", "p", "x1")]

    def sweep(self, entity, project, sweep_id):
        return Sweep(self._client, entity, project, sweep_id, FIELDS)

    def runs(self, entity, project, *, filters=None, order="", **_):
        assert filters == {"sweep": "x1"}
        assert order == "+summary_metrics.loss"
        attrs = {"name": "r1", "displayName": "<i>one</i>", "state": "finished"}
        attrs |= {"createdAt": "2026-01-01", "summaryMetrics": '{"loss": 0.25}', "config": "{}"}
        return [Run(self._client, entity, project, "r1", attrs, lazy=False)]


@pytest.fixture
def pages():
    return build_pages(Sweeps(Api({"base_url": "http://127.0.0.1:9"}, api_key="k" * 40)))


def test_a_sweep_is_shown_with_its_runs_and_its_config(pages):
    status, content = answer_of(pages, "/team/p/sweeps/x1")
    assert status == 200
    text = content.decode()
    for shown in ("&lt;b&gt;search&lt;/b&gt;", "&lt;i&gt;one&lt;/i&gt;", "0.25", "method: random"):
        assert shown in text
    assert "<b>search" not in text
    assert answer_of(pages, "/team/p/sweeps/x1/workspace")[0] == 200


def test_the_sweeps_of_a_project_are_listed(pages):
    status, content = answer_of(pages, "/team/p/sweeps")
    assert status == 200
    assert b'href="/team/p/sweeps/x1"' in content
