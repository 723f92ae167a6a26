"""polars is not used in a process that was forked while it was loaded."""

import subprocess
import sys

SCRIPT = """
import os, sys
from runlake.history.decode.forked import polars_is_usable
assert polars_is_usable()
{load}
child = os.fork()
if child == 0:
    os._exit(polars_is_usable())
_, status = os.waitpid(child, 0)
assert polars_is_usable()
print(os.waitstatus_to_exitcode(status))
"""


def usable_in_fork(load):
    script = SCRIPT.format(load=load)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return bool(int(done.stdout))


def test_a_fork_can_use_polars_only_if_the_parent_had_not_loaded_it():
    assert usable_in_fork("")
    # A stand-in: only the module's name is looked up.
    assert not usable_in_fork("sys.modules['polars'] = sys")
