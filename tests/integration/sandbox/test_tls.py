"""TLS and the CONNECT proxy, over real sockets: clients with a fixed host reach the sandbox, and nothing else."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from calibr_sandbox.certificates import ensure_certificates, stands_for
from calibr_sandbox.config import DEFAULT_TOKEN
from calibr_sandbox.serving import Addresses
from calibr_sandbox.testing import StartedSandbox, Starter

SHOP = "calibr-sandbox.myshopify.com"
PATH = "/admin/api/2026-10/graphql.json"
HEADERS = {"Content-Type": "application/json", "X-Shopify-Access-Token": DEFAULT_TOKEN}
ASK = json.dumps({"query": "{ shop { name } }"})


@pytest.fixture
def secured(start: Starter, tmp_path: Path) -> StartedSandbox:
    return start(certificates=tmp_path / "tls")


def _port(url: str | None) -> int:
    assert url is not None
    return int(url.rpartition(":")[2])


def _trusting(addresses: Addresses) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(addresses.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def _through_proxy(addresses: Addresses, host: str) -> Iterator[http.client.HTTPSConnection]:
    port, context = _port(addresses.proxy_url), _trusting(addresses)
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)) as connection:
        connection.set_tunnel(host, 443)
        yield connection


def test_a_fixed_host_is_reached_through_the_proxy(secured: StartedSandbox) -> None:
    with _through_proxy(secured.addresses, SHOP) as connection:
        for _ in range(2):  # on one tunnel
            connection.request("POST", PATH, ASK, HEADERS)
            response = connection.getresponse()
            answer = json.loads(response.read())

            assert response.status == 200
            assert answer["data"] == {"shop": {"name": "Calibr Sandbox"}}


def test_tls_is_served_without_the_proxy_too(secured: StartedSandbox) -> None:
    port = _port(secured.addresses.tls_url)
    context = _trusting(secured.addresses)
    with closing(http.client.HTTPSConnection("localhost", port, context=context, timeout=10)) as connection:
        connection.request("GET", "/sandbox/health")

        assert connection.getresponse().status == 200


def test_a_client_that_does_not_trust_the_authority_goes_away(secured: StartedSandbox) -> None:
    connection = http.client.HTTPSConnection("localhost", _port(secured.addresses.tls_url), timeout=10)

    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/sandbox/health")


def test_addresses_in_answers_are_those_that_the_caller_used(secured: StartedSandbox) -> None:
    run = (
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { userErrors { message } } }'
    )
    assert secured.client.graphql(run).data["bulkOperationRunQuery"]["userErrors"] == []
    ask = json.dumps({"query": "{ currentBulkOperation { status url } }"})
    with _through_proxy(secured.addresses, SHOP) as connection:
        url = _bulk_url(connection, ask)

        assert url.startswith(f"https://{SHOP}/")
        connection.request("GET", url.removeprefix(f"https://{SHOP}"))
        assert len(connection.getresponse().read().splitlines()) == 2


def _bulk_url(connection: http.client.HTTPSConnection, ask: str) -> str:
    for _ in range(500):
        connection.request("POST", PATH, ask, HEADERS)
        found: dict[str, str] = json.loads(connection.getresponse().read())["data"]["currentBulkOperation"]
        if found["status"] == "COMPLETED":
            return found["url"]
        time.sleep(0.01)
    pytest.fail("the bulk operation did not complete")


@pytest.mark.parametrize(
    ("host", "status"),
    [(SHOP, 200), ("other.myshopify.com", 404), ("shopify-staged-uploads.storage.googleapis.com", 200)],
)
def test_another_shop_is_not_found(secured: StartedSandbox, host: str, status: int) -> None:
    with _through_proxy(secured.addresses, host) as connection:
        connection.request("GET", "/sandbox/health")

        assert connection.getresponse().status == status


@pytest.mark.parametrize("host", ["example.com", "myshopify.com", "a.b.myshopify.com", "evilmyshopify.com"])
def test_the_proxy_leads_nowhere_else(secured: StartedSandbox, host: str) -> None:
    with _through_proxy(secured.addresses, host) as connection, pytest.raises(OSError, match="403 Forbidden"):
        connection.request("GET", "/")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"GET http://calibr-sandbox.myshopify.com/ HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
        (b"CONNECT \r\n\r\n", b"HTTP/1.1 403 "),
        (b"x" * 40_000, b""),
        (b"", b""),
    ],
)
def test_what_is_no_tunnel_is_refused(secured: StartedSandbox, sent: bytes, answered: bytes) -> None:
    with socket.create_connection(("127.0.0.1", _port(secured.addresses.proxy_url)), timeout=10) as client:
        received = b""
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            received = client.recv(1_000)
        except ConnectionError:
            pass  # cut in the middle of what it did not want to read

    assert received.startswith(answered)
    with _through_proxy(secured.addresses, SHOP) as connection:
        connection.connect()  # others are served as before


def test_a_connection_that_the_sandbox_cuts_is_cut_through_the_proxy(secured: StartedSandbox) -> None:
    secured.client.request("POST", "/sandbox/faults", {"kind": "drop_after_commit", "rate": 1.0, "count": 1})
    with _through_proxy(secured.addresses, SHOP) as connection:
        connection.request("POST", PATH, ASK, HEADERS)

        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()


def test_certificates_are_kept_and_a_broken_one_is_replaced(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path / "tls")
    first = files.chain_file.read_bytes()

    assert ensure_certificates(tmp_path / "tls").chain_file.read_bytes() == first
    assert files.key_file.stat().st_mode & 0o777 == 0o600
    files.ca_file.write_text("no certificate")
    assert ensure_certificates(tmp_path / "tls").chain_file.read_bytes() != first


def test_the_certificate_is_for_one_level_of_shops() -> None:
    assert stands_for("My-Shop.myshopify.com")
    assert not stands_for("a.b.myshopify.com")
    assert not stands_for(".myshopify.com")
    assert not stands_for("*.myshopify.com.example")


def test_the_command_tells_where_and_serves_an_unmodified_client(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "calibr_sandbox",
        "serve",
        "--db",
        str(tmp_path / "shop.db"),
        "--products",
        "5",
        "--tls",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            environment = {**os.environ, "HTTPS_PROXY": ready["proxy_url"], "SSL_CERT_FILE": ready["ca_file"]}
            environment.pop("NO_PROXY", None)
            asked = (
                "import urllib.request as u;"
                f"print(u.urlopen(u.Request('https://{SHOP}{PATH}', {ASK.encode()!r}, {HEADERS!r})).read().decode())"
            )
            shown = subprocess.run(
                [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True, timeout=30
            )
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    assert json.loads(shown.stdout)["data"] == {"shop": {"name": "Calibr Sandbox"}}
    assert set(ready) == {"event", "url", "tls_url", "proxy_url", "ca_file", "loaded"}
