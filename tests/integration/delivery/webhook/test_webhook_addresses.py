"""Where webhooks are never sent, whatever a name server says."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import httpcore2
import pytest
from hook_server import HookServer

from calibr.delivery.model import Message, Outcome, Verdict
from calibr.delivery.webhook import AddressPolicy, Endpoint, Resolver, WebhookReceiver, new_secret

_PUBLIC = "93.184.216.34"
_PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"

MakeMessage = Callable[..., Message]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where connections were opened to; every one fails, so that no test reaches the internet."""
    seen: list[str] = []

    def refuse(_self: object, host: str, *_: object) -> None:
        seen.append(host)
        raise httpcore2.ConnectError("refused by the test")

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", refuse)
    return seen


def _deliver(
    message: Message, resolver: Resolver | None, *, policy: AddressPolicy | None = None, timeout_s: float = 3.0
) -> Verdict:
    endpoint = Endpoint("https", "hooks.example", 443, "/")
    receiver = WebhookReceiver(
        endpoint, [new_secret()], policy=policy or AddressPolicy(), resolver=resolver, timeout_s=timeout_s
    )
    with closing(receiver):
        return receiver.deliver(message)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "2606:2800:220:1:0:5efe:10.0.0.1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff02::1",
        "0x7f.1",
        "2130706433",
        "localhost",
        "",
    ],
)
def test_a_name_that_leads_inside_is_never_connected_to(
    connections: list[str], make_message: MakeMessage, address: str
) -> None:
    for answer in ([address], [_PUBLIC, address], [address, _PUBLIC_V6]):
        verdict = _deliver(make_message(), lambda _host, _port, answer=answer: answer)
        assert verdict.outcome is Outcome.RETRY
        assert "not public" in str(verdict.reason)
        assert not address or address not in str(verdict.reason)
    assert connections == []


@pytest.mark.parametrize(
    "address", [_PUBLIC, _PUBLIC_V6, "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_a_public_address_is_connected_to(connections: list[str], make_message: MakeMessage, address: str) -> None:
    verdict = _deliver(make_message(), lambda _host, _port: [address])
    assert "cannot be connected" in str(verdict.reason)
    assert len(connections) == 1
    assert "hooks" not in connections[0]


def test_an_answer_that_changes_between_check_and_connection_changes_nothing(
    connections: list[str], make_message: MakeMessage
) -> None:
    answers = iter([[_PUBLIC], ["127.0.0.1"]])
    asked: list[str] = []

    def resolver(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    endpoint = Endpoint("https", "hooks.example", 443, "/")
    receiver = WebhookReceiver(endpoint, [new_secret()], policy=AddressPolicy(), resolver=resolver, timeout_s=3)
    with closing(receiver):
        first = receiver.deliver(make_message())
        assert (asked, connections) == (["hooks.example"], [_PUBLIC])
        second = receiver.deliver(make_message())
    assert "cannot be connected" in str(first.reason)
    assert "not public" in str(second.reason)
    assert connections == [_PUBLIC]


def test_each_address_is_tried_once_in_the_order_of_the_answer(
    connections: list[str], make_message: MakeMessage
) -> None:
    _deliver(make_message(), lambda _host, _port: [_PUBLIC_V6, _PUBLIC, _PUBLIC])
    assert connections == [_PUBLIC_V6, _PUBLIC]


@pytest.mark.parametrize("policy", [AddressPolicy(), AddressPolicy(allow_loopback=True)])
def test_a_name_never_leads_to_this_machine_not_even_where_loopback_urls_are_allowed(
    make_message: MakeMessage, policy: AddressPolicy
) -> None:
    with HookServer() as server:
        endpoint = Endpoint("http", "hooks.example", server.port, "/")
        receiver = WebhookReceiver(
            endpoint, [new_secret()], policy=policy, resolver=lambda _host, _port: ["127.0.0.1"], timeout_s=3
        )
        with closing(receiver):
            assert "not public" in str(receiver.deliver(make_message()).reason)
        assert server.accepted == 0


def test_the_resolver_of_the_system_is_checked_too(make_message: MakeMessage) -> None:
    with HookServer() as server:
        endpoint = Endpoint("http", "localhost", server.port, "/")
        receiver = WebhookReceiver(endpoint, [new_secret()], policy=AddressPolicy(), timeout_s=10)
        with closing(receiver):
            assert "not public" in str(receiver.deliver(make_message()).reason)
        assert server.accepted == 0


def test_a_stored_loopback_url_is_refused_once_the_operator_forbids_them(make_message: MakeMessage) -> None:
    with HookServer() as server:
        endpoint = Endpoint("http", "127.0.0.1", server.port, "/", is_loopback=True)
        receiver = WebhookReceiver(endpoint, [new_secret()], policy=AddressPolicy(), timeout_s=3)
        with closing(receiver):
            assert "not public" in str(receiver.deliver(make_message()).reason)
        assert server.accepted == 0


def test_a_name_without_an_address_is_a_retry(connections: list[str], make_message: MakeMessage) -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    for resolver in (unknown, lambda _host, _port: []):
        verdict = _deliver(make_message(), resolver)
        assert verdict.outcome is Outcome.RETRY
        assert "no address" in str(verdict.reason)
    assert connections == []


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Set at the end, so that no lookup outlives the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.usefixtures("connections")
def test_a_resolver_that_hangs_costs_the_timeout_and_few_threads(
    make_message: MakeMessage, stuck: threading.Event
) -> None:
    asked: list[str] = []

    def hang(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        stuck.wait(30)
        return [_PUBLIC]

    endpoint = Endpoint("https", "hooks.example", 443, "/")
    receiver = WebhookReceiver(endpoint, [new_secret()], policy=AddressPolicy(), resolver=hang, timeout_s=0.2)
    with closing(receiver):
        for _ in range(6):
            began = time.monotonic()
            verdict = receiver.deliver(make_message())
            assert verdict.outcome is Outcome.RETRY
            assert time.monotonic() - began < 1
    assert len(asked) == 4
