"""httpx is imported without its optional parts, which work when they are used."""

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
    "without what HTTP/2 and SOCKS need": """
import sys
from runlake.backend.http.client import Client
assert not set(sys.modules) & {"h2", "socksio", "httpcore._sync.http2"}
import httpcore, httpx
assert httpcore.SOCKSProxy.__name__ == "SOCKSProxy"
assert "socksio" in sys.modules and "h2" not in sys.modules
assert httpcore.HTTP2Connection.__name__ == "HTTP2Connection"
assert "h2" in sys.modules
assert httpcore.AsyncHTTP2Connection and httpcore._async.AsyncSOCKSProxy
assert httpx.Client(http2=True) and httpx.Client(proxy="socks5://127.0.0.1:1")
assert not hasattr(httpcore, "nothing")
from httpcore import *
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
