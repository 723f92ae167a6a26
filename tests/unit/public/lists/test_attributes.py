"""The HTML for notebooks has the intended elements, whatever characters names contain."""

from typing import cast

import pytest
from tests.html_elements import HOSTILE, Elements, assert_safe

import runlake
from runlake.errors import InvalidType
from runlake.public.lists.attributes import frame_of


@pytest.fixture(scope="module")
def client():
    return runlake.Api({"base_url": "http://127.0.0.1:1"}, api_key="k" * 40, offline=True)._client


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leaves_the_address_of_the_frame(client, name):
    run = runlake.Run(client, name, name, name, {"name": name, "state": name})
    project = runlake.Project(client, name, name, {"name": name})
    sweep = runlake.Sweep(client, name, name, name, {"state": name, "displayName": name})
    for shown in (run, project, sweep):
        for hidden, expected in ((False, ["iframe"]), (True, ["button", "iframe"])):
            elements = Elements(shown.to_html(hidden=hidden)).seen
            assert [tag for tag, _ in elements] == expected
            attributes = elements[-1][1]
            assert set(attributes) == {"src", "style"}
            address = attributes["src"] or ""
            assert address.startswith("http://127.0.0.1:1/")
            assert address.endswith("?jupyter=true")
            assert not set(address) & set(" '\"<>\n\r\t\x1b\x07\u202e")
        assert "offline" in assert_safe(shown._repr_html_()).text


def test_an_address_that_is_not_http_makes_no_frame():
    shown = frame_of("javascript:alert('<b>')", 100, hidden=False, shows="run")
    assert Elements(shown).seen == []


def test_a_height_is_a_number():
    with pytest.raises(InvalidType, match="height"):
        frame_of("http://a", cast("int", "1px;'><script>"), hidden=False, shows="run")
    assert "height:420px;" in frame_of("http://a", 420, hidden=False, shows="run")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_repr_is_one_line_that_steers_nothing(client, name):
    run = runlake.Run(client, name, name, name, {"name": name, "state": name})
    project = runlake.Project(client, name, name, {"name": name})
    user = runlake.User({"name": name})
    for shown in (run, project, user, runlake.Runs(client, name, name)):
        assert not set(repr(shown)) & set("\n\r\t\x1b\x07\u202e")
