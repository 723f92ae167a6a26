"""Offline mode, proxies and certificates, with real sockets."""

import http.server
import io
import ssl
import subprocess
import threading

import pytest
import trustme

import runlake
from runlake import errors
from runlake.backend.http.client import Client
from runlake.settings import load_settings


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class SecureServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Ignore clients that close the connection because they do not trust the certificate."""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def secure_url(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with SecureServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_authorities_of_the_machine(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ask(secure_url):
    def ask():
        client = Client(load_settings({"base_url": secure_url}, api_key="k" * 40))
        try:
            return client.post("/graphql", {}, operation="Viewer")
        finally:
            client.close()

    return ask


def unwrap(ask):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Transient carries the error
        ask()
    return getattr(caught.value, "error", caught.value)


@pytest.fixture
def bundle(authority, tmp_path):
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return file


def test_an_unknown_authority_is_an_error_that_names_the_setting(ask):
    error = unwrap(ask)
    assert isinstance(error, errors.Unreachable)
    assert "REQUESTS_CA_BUNDLE" in str(error)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_authorities_is_trusted(ask, bundle, monkeypatch, variable):
    monkeypatch.setenv(variable, str(bundle))
    assert ask() == {}


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_a_directory_of_authorities_is_trusted(ask, bundle, monkeypatch, variable):
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(bundle)]
    digest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    directory = bundle.parent / "authorities"
    directory.mkdir()
    bundle.rename(directory / f"{digest}.0")
    monkeypatch.setenv(variable, str(directory))
    assert ask() == {}


def test_the_variable_of_requests_wins(ask, bundle, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    assert ask() == {}


def test_certificates_go_unchecked_on_request_only(ask, monkeypatch):
    monkeypatch.setenv("WANDB_INSECURE_DISABLE_SSL", "true")
    assert ask() == {}


def test_a_bundle_that_is_not_there_or_not_pem_is_a_setting_that_is_wrong(
    ask, monkeypatch, tmp_path
):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(errors.SettingsError, match="SSL_CERT_FILE"):
        load_settings()
    (tmp_path / "nowhere.pem").write_text("no certificate")
    assert isinstance(unwrap(ask), errors.SettingsError)


def test_certificates_are_read_for_tls_only(backend, monkeypatch, tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    assert api.default_entity == backend.entity


def test_a_proxy_is_used_except_for_hosts_in_no_proxy(ask, bundle, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert isinstance(unwrap(ask), errors.Unreachable)
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert ask() == {}


def test_offline_every_way_to_the_network_is_refused_by_name(monkeypatch):
    client = Client(load_settings({"base_url": "http://127.0.0.1:9"}, offline=True))
    requests = {
        "Viewer": lambda: client.post("/graphql", {}, operation="Viewer"),
        "A download": lambda: client.open("http://127.0.0.1:9/x", {}).__enter__(),
        "An upload": lambda: client.put("http://127.0.0.1:9/x", io.BytesIO(), 0, {}),
    }
    for operation, request in requests.items():
        with pytest.raises(errors.OfflineError, match=f"{operation} needs .*RUNLAKE_OFFLINE"):
            request()
    monkeypatch.setenv("RUNLAKE_OFFLINE", "1")
    with pytest.raises(errors.CommError):
        runlake.Api({"base_url": "http://127.0.0.1:9"}).run("e/p/r")
    assert runlake.Api(offline=False).settings.offline is False
