"""httpx is imported without its command line, which works when it is called."""

import subprocess
import sys

import pytest

COMMAND_LINE = "click rich pygments httpx._main"
CODES = {
    "runlake alone": f"""
import sys
from runlake.backend.http.client import Client
assert not set(sys.modules) & set("{COMMAND_LINE}".split())
""",
    "the command line afterwards": """
import runlake.backend, httpx
assert httpx.main.__name__ and httpx.Client and httpx.__version__
import sys
sys.argv = ["httpx", "--help"]
try:
    httpx.main()
except SystemExit as end:
    assert not end.code
else:
    raise AssertionError("the command line exits")
import httpx._main
assert "rich" in sys.modules and httpx._main.main is not None
""",
    "httpx before runlake": """
import httpx
main = httpx.main
import runlake.backend
assert httpx.main is main
""",
}


@pytest.mark.parametrize("name", CODES)
def test_httpx_is_imported_without_its_command_line(name):
    done = subprocess.run(
        [sys.executable, "-c", CODES[name]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_failed_import_leaves_no_mark():
    code = """
import sys
sys.modules["idna"] = None
try:
    import runlake.backend
except ImportError:
    assert "httpx._main" not in sys.modules
else:
    raise AssertionError("httpx needs idna")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
