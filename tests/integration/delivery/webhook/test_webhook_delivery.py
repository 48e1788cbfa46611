"""Messages over real sockets: what is sent, and what each answer means."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hook_server import HookServer, Reply, SlowPeer
from standardwebhooks import Webhook, WebhookVerificationError

from calibr.delivery.model import Message, Outcome, Verdict
from calibr.delivery.webhook import AddressPolicy, WebhookReceiver, new_secret, parse_endpoint

_LOOPBACK = AddressPolicy(allow_loopback=True)

MakeMessage = Callable[..., Message]


@pytest.fixture
def receiver(server: HookServer) -> Iterator[WebhookReceiver]:
    with closing(_receiver(server)) as receiver:
        yield receiver


def _receiver(
    server: HookServer, *secrets: str, timeout_s: float = 5.0, tls: ssl.SSLContext | None = None
) -> WebhookReceiver:
    endpoint = parse_endpoint(server.url, _LOOPBACK)
    return WebhookReceiver(endpoint, secrets or [new_secret()], policy=_LOOPBACK, timeout_s=timeout_s, tls=tls)


def test_the_body_arrives_byte_for_byte_and_the_library_verifies_it(
    server: HookServer, make_message: MakeMessage
) -> None:
    secret, message = new_secret(), make_message()
    with closing(_receiver(server, secret)) as receiver:
        assert receiver.deliver(message).outcome is Outcome.DELIVERED
    (request,) = server.requests
    assert request.body == message.body
    Webhook(secret).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == str(message.event_id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "calibr"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert (request.method, request.path) == ("POST", "/hook")
    assert "calibr-replay" not in request.headers
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body + b" ", request.headers)


def test_during_a_rotation_each_of_the_secrets_verifies_and_no_other(
    server: HookServer, make_message: MakeMessage
) -> None:
    new, old = new_secret(), new_secret()
    with closing(_receiver(server, new, old)) as receiver:
        receiver.deliver(make_message())
    (request,) = server.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(request.body, request.headers)


def test_a_replayed_message_says_so_and_keeps_its_id(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    receiver.deliver(make_message())
    receiver.deliver(make_message(is_replay=True))
    first, second = server.requests
    assert second.headers["calibr-replay"] == "true"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, Outcome.DELIVERED) for status in (200, 201, 202, 204, 299)],
        *[(status, Outcome.RETRY) for status in (301, 302, 307, 308, 408, 409, 425, 429, 500, 502, 503, 504, 599)],
        *[(status, Outcome.POISON) for status in (400, 401, 403, 404, 405, 410, 413, 415, 422, 451)],
    ],
)
def test_the_status_decides(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage, status: int, outcome: Outcome
) -> None:
    server.script(Reply(status))
    verdict = receiver.deliver(make_message())
    assert verdict.outcome is outcome
    assert (verdict.reason is None) == (outcome is Outcome.DELIVERED)
    assert verdict.reason is None or str(status) in verdict.reason


def test_a_redirect_is_a_failure_and_its_target_is_not_called(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    with HookServer() as target:
        server.script(*[Reply(status, {"Location": target.url}) for status in (301, 302, 303, 307, 308)])
        verdicts = [receiver.deliver(make_message()) for _ in range(5)]
        assert target.accepted == 0
    assert {verdict.outcome for verdict in verdicts} == {Outcome.RETRY}
    assert "redirects are not followed" in str(verdicts[0].reason)


def test_a_proxy_of_the_environment_is_not_used(
    server: HookServer, make_message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HookServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with closing(_receiver(server)) as receiver:
            assert receiver.deliver(make_message()).outcome is Outcome.DELIVERED
        assert proxy.accepted == 0


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [
        (429, "17", 17),
        (503, "0", 0),
        (503, " 120 ", 120),
        (429, "999999999", 86_400),
        (429, "9" * 5000, None),
        (429, "-5", None),
        (429, "1.5", None),
        (429, "soon", None),
        (429, "Wed, 99 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_in_seconds_is_honored_up_to_a_day(
    server: HookServer,
    receiver: WebhookReceiver,
    make_message: MakeMessage,
    status: int,
    told: str,
    seconds: float | None,
) -> None:
    server.script(Reply(status, {"Retry-After": told}))
    verdict = receiver.deliver(make_message())
    assert (verdict.outcome, verdict.retry_after_s) == (Outcome.RETRY, seconds)


@pytest.mark.parametrize(("ahead_s", "expected_s"), [(90, 90), (-90, 0), (9 * 86_400, 86_400)])
def test_retry_after_as_a_date_counts_from_the_clock_of_the_receiver(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage, ahead_s: int, expected_s: int
) -> None:
    theirs = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    until = format_datetime(theirs + timedelta(seconds=ahead_s), usegmt=True)
    server.script(Reply(503, {"Retry-After": until, "Date": format_datetime(theirs, usegmt=True)}))
    assert receiver.deliver(make_message()).retry_after_s == expected_s


def test_retry_after_as_a_date_counts_from_our_clock_when_the_receiver_tells_none(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    server.script(Reply(503, {"Retry-After": until}))
    wait = receiver.deliver(make_message()).retry_after_s
    assert wait is not None
    assert 90 < wait <= 100


def test_a_receiver_can_stop_the_retries_of_a_message_but_not_undo_a_delivery(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    abort = {"Webhook-Delivery": "Abort-Message"}
    server.script(Reply(500, abort), Reply(200, abort))
    verdicts = [receiver.deliver(make_message()).outcome for _ in range(2)]
    assert verdicts == [Outcome.POISON, Outcome.DELIVERED]


def test_megabytes_of_garbage_after_a_200_are_a_delivery_and_are_not_read(
    server: HookServer, make_message: MakeMessage
) -> None:
    server.script(Reply(200, body=b"\xff\x00" * 8_000_000))
    with closing(_receiver(server)) as receiver:
        began = time.monotonic()
        assert receiver.deliver(make_message()).outcome is Outcome.DELIVERED
        assert time.monotonic() - began < 1
        assert receiver.deliver(make_message()).outcome is Outcome.DELIVERED
    assert server.accepted == 2  # the first connection was not worth reading to its end


def test_a_reason_never_shows_what_the_receiver_wrote(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    server.script(Reply(400, {"X-Secret": "hunter2"}, b"hunter2"), Reply(500, body=b"hunter2"))
    for _ in range(2):
        assert "hunter2" not in str(receiver.deliver(make_message()))


def test_connections_are_reused(server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage) -> None:
    for _ in range(5):
        receiver.deliver(make_message())
    assert len(server.requests) == 5
    assert server.accepted == 1


def test_many_threads_share_a_receiver(server: HookServer, make_message: MakeMessage) -> None:
    server.answer = lambda _: Reply(delay_s=0.01)
    outcomes: list[Outcome] = []
    with closing(_receiver(server)) as receiver:
        threads = [
            threading.Thread(target=lambda: outcomes.extend(receiver.deliver(make_message()).outcome for _ in range(5)))
            for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [Outcome.DELIVERED] * 120
    assert len(server.requests) == 120
    assert server.accepted <= 16


def test_a_server_that_never_answers_costs_the_timeout(server: HookServer, make_message: MakeMessage) -> None:
    server.script(Reply(delay_s=60))
    verdict, took = _timed(server, make_message(), timeout_s=0.5)
    assert verdict.outcome is Outcome.RETRY
    assert "0.5 s" in str(verdict.reason)
    assert 0.4 < took < 1.5


def test_a_head_that_trickles_gains_no_time(server: HookServer, make_message: MakeMessage) -> None:
    server.script(Reply(trickle_s=0.1))
    verdict, took = _timed(server, make_message(), timeout_s=0.6)
    assert verdict.outcome is Outcome.RETRY
    assert took < 1.5


def test_a_body_that_trickles_after_a_200_is_a_delivery_that_ends_soon(
    server: HookServer, make_message: MakeMessage
) -> None:
    server.script(Reply(body=b"x" * 100_000, trickle_s=0.005))
    verdict, took = _timed(server, make_message(), timeout_s=4)
    assert verdict.outcome is Outcome.DELIVERED
    assert took < 3


def test_a_server_that_takes_the_body_in_sips_gains_no_time(make_message: MakeMessage) -> None:
    with SlowPeer() as sipper:
        endpoint = parse_endpoint(f"http://127.0.0.1:{sipper.port}/", _LOOPBACK)
        with closing(WebhookReceiver(endpoint, [new_secret()], policy=_LOOPBACK, timeout_s=0.8)) as receiver:
            began = time.monotonic()
            verdict = receiver.deliver(make_message(b"1" * 60_000_000))
        assert verdict.outcome is Outcome.RETRY
        assert time.monotonic() - began < 2.5


def test_a_connection_that_breaks_is_a_retry_and_the_next_one_works(
    server: HookServer, receiver: WebhookReceiver, make_message: MakeMessage
) -> None:
    server.script(Reply(drop=True))
    first, second = (receiver.deliver(make_message()) for _ in range(2))
    assert first.outcome is Outcome.RETRY
    assert "broke" in str(first.reason)
    assert second.outcome is Outcome.DELIVERED


def test_closing_lets_a_delivery_end_and_then_closes_its_connection(
    server: HookServer, make_message: MakeMessage
) -> None:
    server.script(Reply(delay_s=0.3))
    verdicts: list[Verdict] = []
    receiver = _receiver(server)
    thread = threading.Thread(target=lambda: verdicts.append(receiver.deliver(make_message())))
    thread.start()
    server.wait_for(1)
    receiver.close()
    late = receiver.deliver(make_message())
    thread.join(5)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.DELIVERED]
    assert late.outcome is Outcome.RETRY
    assert len(server.requests) == 1
    server.wait_until_idle()


def test_a_closed_port_is_a_retry(make_message: MakeMessage) -> None:
    with HookServer() as gone:
        receiver = _receiver(gone)
    with closing(receiver):
        verdict = receiver.deliver(make_message())
    assert verdict.outcome is Outcome.RETRY
    assert "cannot be connected" in str(verdict.reason)


def test_an_answer_that_is_no_http_is_a_retry(make_message: MakeMessage) -> None:
    with SlowPeer(answer=b"220 mail.example ESMTP\r\n\r\n") as mail:
        endpoint = parse_endpoint(f"http://127.0.0.1:{mail.port}/", _LOOPBACK)
        with closing(WebhookReceiver(endpoint, [new_secret()], policy=_LOOPBACK, timeout_s=5)) as receiver:
            verdict = receiver.deliver(make_message())
    assert verdict.outcome is Outcome.RETRY
    assert "no proper HTTP" in str(verdict.reason)


def test_a_self_signed_certificate_is_refused_before_anything_is_sent(
    tls_server: HookServer, make_message: MakeMessage
) -> None:
    with closing(_receiver(tls_server)) as receiver:
        verdict = receiver.deliver(make_message())
    assert verdict.outcome is Outcome.RETRY
    assert "certificate" in str(verdict.reason)
    assert tls_server.requests == []


def test_a_certificate_of_a_trusted_authority_is_accepted(
    tls_server: HookServer, certificate: Path, make_message: MakeMessage
) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    with closing(_receiver(tls_server, tls=trust)) as receiver:
        assert receiver.deliver(make_message(b"1" * 1_000_000)).outcome is Outcome.DELIVERED
    assert len(tls_server.requests[0].body) == 1_000_000


@pytest.mark.parametrize(("host", "outcome"), [("hooks.example", Outcome.DELIVERED), ("other.example", Outcome.RETRY)])
def test_the_certificate_and_the_host_header_follow_the_name_not_the_address(
    tls_server: HookServer, certificate: Path, make_message: MakeMessage, host: str, outcome: Outcome
) -> None:
    asked: list[str | None] = []
    context = tls_server.tls
    assert context is not None
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    endpoint = replace(parse_endpoint(tls_server.url, _LOOPBACK), host=host)
    trust = ssl.create_default_context(cafile=certificate)
    receiver = WebhookReceiver(
        endpoint, [new_secret()], policy=_LOOPBACK, resolver=lambda _h, _p: ["127.0.0.1"], timeout_s=5, tls=trust
    )
    with closing(receiver):
        assert receiver.deliver(make_message()).outcome is outcome
    assert asked == [host]
    assert [request.headers["host"] for request in tls_server.requests] == (
        [f"hooks.example:{tls_server.port}"] if outcome is Outcome.DELIVERED else []
    )


def _timed(server: HookServer, message: Message, timeout_s: float) -> tuple[Verdict, float]:
    with closing(_receiver(server, timeout_s=timeout_s)) as receiver:
        began = time.monotonic()
        return receiver.deliver(message), time.monotonic() - began
