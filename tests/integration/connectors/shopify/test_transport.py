"""The client on real sockets: what each way of breaking means, and that the token stays where it belongs."""

import socket
import time
import traceback
from collections.abc import Callable

import pytest
from odd_server import (
    Misbehavior,
    OddServer,
    answer,
    babble,
    flood,
    gzip_bomb,
    hang_up,
    hang_up_within,
    odd_server,
)

from calibr.connectors.port import PriceWrite, WriteOutcome, WriteResult
from calibr.connectors.shopify import create
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.config import parse_config
from calibr.connectors.shopify.documents import SHOP, UPDATE_PRICES
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.throttle import Throttle

TOKEN = "shpat_9f8e7d6c5b4a_secret"
GOOD = b'{"data": {"shop": {"name": "Test", "currencyCode": "USD"}}}'


def connect(url: str) -> ShopifyClient:
    return ShopifyClient(parse_config({"shop_url": url}, {"access_token": TOKEN}), Throttle(), connections=2)


def call(url: str) -> CallError:
    """Send one mutation and return how it failed."""
    client = connect(url)
    variables = {"productId": "gid://shopify/Product/1", "variants": []}
    try:
        with pytest.raises(CallError) as caught:
            client.call(UPDATE_PRICES, variables, rows=1, until=client.throttle.clock() + 5)
        return caught.value
    finally:
        client.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_closed_door_is_certainly_nothing_sent() -> None:
    error = call(f"http://127.0.0.1:{free_port()}")

    assert (error.code, error.retryable, error.maybe_executed) == ("upstream.unreachable", True, False)


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (hang_up, "upstream.unreachable"),
        (hang_up_within(b'{"data":'), "upstream.unreachable"),
        (babble, "upstream.unreachable"),
        (flood, "upstream.protocol"),
        (gzip_bomb(), "upstream.protocol"),
        (answer(b"not json"), "upstream.protocol"),
        (answer(b"x", headers="Content-Encoding: gzip\r\n"), "upstream.protocol"),
        (answer(b"{}", status="504 Gateway Timeout"), "upstream.unavailable"),
    ],
)
def test_a_break_after_sending_may_have_been_executed(behave: Misbehavior, code: str) -> None:
    with odd_server(behave) as server:
        error = call(server.url)

    assert (error.code, error.maybe_executed) == (code, True)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(capfd: pytest.CaptureFixture[str]) -> None:
    with odd_server(answer(GOOD)) as elsewhere:
        location = f"Location: {elsewhere.url}/admin/api/2026-10/graphql.json\r\n"
        with odd_server(answer(b"", status="307 Temporary Redirect", headers=location)) as server:
            error = call(server.url)

    assert error.code == "upstream.protocol"
    assert "redirects (HTTP 307)" in error.message
    assert elsewhere.requests == []
    assert TOKEN not in "".join(capfd.readouterr())


def test_the_token_is_sent_as_a_header_and_the_document_with_its_name() -> None:
    with odd_server(answer(GOOD)) as server:
        client = connect(server.url)
        client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)
        client.close()

    (request,) = server.requests
    assert request.startswith(b"POST /admin/api/2026-10/graphql.json HTTP/1.1\r\n")
    assert f"x-shopify-access-token: {TOKEN}".encode() in request.lower().replace(
        TOKEN.lower().encode(), TOKEN.encode()
    )
    assert b'"operationName":"CalibrShop"' in request


def test_a_pooled_connection_that_the_store_closed_meanwhile_is_not_used() -> None:
    with odd_server(answer(GOOD)) as server:
        client = connect(server.url)
        for _ in range(3):
            client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)
            time.sleep(0.05)
        client.close()

    assert len(server.requests) == 3


def echo(server: OddServer) -> Misbehavior:
    """Answer with what came in, as careless servers do."""

    def behave(connection: socket.socket) -> None:
        answer(b'{"errors": "' + TOKEN.encode() + b'"}', status="403 Forbidden")(connection)

    server.behave = behave
    return behave


def test_the_token_shows_in_no_error_even_if_the_store_echoes_it() -> None:
    with odd_server(hang_up) as server:
        echo(server)
        error = call(server.url)

    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    assert "***" in error.message
    assert TOKEN not in shown


def test_the_token_shows_in_no_repr_of_the_connector() -> None:
    connector = create({"shop_url": "http://127.0.0.1:9"}, {"access_token": TOKEN}, allow_loopback=True)
    client = connector._client

    held = client.tokens.get()
    parts = [connector, vars(connector), vars(client), client._http.headers, vars(client.tokens), held, client.config]
    shown = repr(parts)

    connector.close()
    assert TOKEN not in shown


def test_the_version_that_was_served_is_noted() -> None:
    with odd_server(answer(GOOD, headers="X-Shopify-API-Version: 2027-01\r\n")) as server:
        client = connect(server.url)
        client.call(SHOP, {}, rows=1, until=client.throttle.clock() + 5)
        client.close()

    assert client.served_version == "2027-01"


@pytest.fixture
def write() -> Callable[[str], list[WriteResult]]:
    def send(url: str) -> list[WriteResult]:
        connector = create({"shop_url": url}, {"access_token": TOKEN}, allow_loopback=True)
        connector._currency.note({"currencyCode": "USD"})
        rows = [PriceWrite(str(n), "1", "USD", 100, None, write_compare_at=False) for n in (1, 2)]
        try:
            return connector.write_prices(rows)
        finally:
            connector.close()

    return send


def test_a_write_without_an_answer_is_unknown(write: Callable[[str], list[WriteResult]]) -> None:
    with odd_server(hang_up) as server:
        results = write(server.url)

    assert [result.outcome for result in results] == [WriteOutcome.UNKNOWN] * 2
    assert len(server.requests) == 1


def test_a_write_to_a_closed_door_can_be_tried_again(write: Callable[[str], list[WriteResult]]) -> None:
    results = write(f"http://127.0.0.1:{free_port()}")

    assert [(result.outcome, result.code) for result in results] == [(WriteOutcome.RETRY, "upstream.unreachable")] * 2


def test_a_check_of_a_closed_door_says_so() -> None:
    connector = create({"shop_url": f"http://127.0.0.1:{free_port()}"}, {"access_token": TOKEN}, allow_loopback=True)

    health = connector.check()
    connector.close()

    assert not health.ok
    assert health.problems == ("Shopify cannot be reached (ConnectError); nothing was sent.",)
