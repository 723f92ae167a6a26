import signal
import weakref

import pytest
import uvicorn

from runlake.server.serve import exit_on_sigterm


@pytest.fixture
def server():
    return uvicorn.Server(uvicorn.Config("no:app"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_within_a_finalizer_stops_the_server_as_it_starts(server):
    class Thing:
        pass

    thing = Thing()
    with exit_on_sigterm() as termination:
        watched = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
        del thing
        assert watched() is None
        assert not server.should_exit
        termination.stops(server)
    assert server.should_exit


def test_a_signal_ends_the_block_and_stops_the_running_server(server):
    def run():
        with exit_on_sigterm() as termination:
            termination.stops(server)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit):
        run()
    assert server.should_exit
