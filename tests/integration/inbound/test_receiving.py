"""What is let in: signatures, addresses, sizes, repeats; and that nothing is stored of what is not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from rest import Team
from storefront import OLD_SECRET, Storefront, headers_of, signature

SHIRT = 8_100_000_000_001


def test_a_signed_delivery_is_stored_once_and_answered_the_same_again(front: Storefront) -> None:
    body = front.body(SHIRT)
    headers = headers_of(body)

    answers = [front.send(body, headers) for _ in range(3)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 3
    assert front.deliveries() == {"waiting": 1}


def test_the_secret_before_a_rotation_is_good_too(front: Storefront) -> None:
    body = front.body(SHIRT)

    answer = front.send(body, headers_of(body, Hmac_Sha256=signature(body, OLD_SECRET)))

    assert (answer.status_code, front.deliveries()) == (200, {"waiting": 1})


@pytest.mark.parametrize("signed", ["", "AAAA", "é", signature(b"another body"), signature(b"{}", "another secret")])
def test_a_bad_signature_is_refused_and_nothing_is_stored(front: Storefront, signed: str) -> None:
    body = b"{}"
    headers = [(name, value.encode()) for name, value in headers_of(body, Hmac_Sha256=signed).items()]

    answer = front.anonymous.post(front.path, content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "webhook.signature")
    assert front.deliveries() == {}


def test_a_delivery_without_a_signature_is_refused(front: Storefront) -> None:
    headers = headers_of(b"{}")
    del headers["X-Shopify-Hmac-Sha256"]

    assert front.send(b"{}", headers).status_code == 401


def test_a_signature_over_other_bytes_of_the_same_json_is_refused(front: Storefront) -> None:
    body = front.body(SHIRT)
    same = json.dumps(json.loads(body), indent=1).encode()

    assert front.send(same, headers_of(body)).status_code == 401
    assert front.deliveries() == {}


def test_nothing_is_at_an_address_that_was_not_given_out(front: Storefront, anonymous: httpx2.Client) -> None:
    body = front.body(SHIRT)
    tampered = front.path[:-1] + ("0" if front.path[-1] != "0" else "1")

    answers = [
        anonymous.post(path, content=body, headers=headers_of(body))
        for path in (tampered, "/v1/hooks/" + "0" * 66, "/v1/hooks/short", "/v1/hooks/" + "z" * 66)
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.json()["code"] for answer in answers} == {"webhook.no_such_address"}


def test_an_address_shows_only_its_own_tenant(front: Storefront, make_team: object) -> None:
    """The tenant is known from the address: a body of another shop changes nothing there."""
    stranger: Team = make_team()  # type: ignore[operator]

    front.tell(SHIRT)

    assert stranger.admin.get(f"/v1/connections/{front.connection_id}/webhooks").status_code == 404


@pytest.mark.parametrize("name", ["Webhook_Id", "Topic"])
def test_a_delivery_without_what_it_is_known_by_is_refused(front: Storefront, name: str) -> None:
    body = front.body(SHIRT)

    answers = [front.send(body, headers_of(body, **{name: value})) for value in ("", "x" * 256)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "webhook.headers")] * 2
    assert front.deliveries() == {}


def test_a_body_that_is_too_long_is_refused(front: Storefront) -> None:
    body = b"[" + b" " * (2 * 1024 * 1024) + b"]"

    answer = front.send(body)

    assert (answer.status_code, front.deliveries()) == (413, {})


def test_a_signed_body_that_cannot_be_read_fails_for_good_and_says_why(front: Storefront) -> None:
    for body in (b"not json", b"[]", b'{"id": 1, "variants": 3}', b'{"id": "x"}', b"\xff\xfe"):
        assert front.send(body).status_code == 200

    front.work_in()

    assert front.deliveries() == {"failed": 5}
    shown = front.team.author.get(f"/v1/connections/{front.connection_id}/webhooks").json()
    assert (shown["waiting"], shown["failed"]) == (0, 5)


def test_many_arrivals_of_one_delivery_at_once_are_one(front: Storefront) -> None:
    body = front.body(SHIRT)
    headers = headers_of(body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: front.send(body, headers).status_code, range(24)))

    assert answers == [200] * 24
    assert front.deliveries() == {"waiting": 1}


def test_an_unknown_topic_is_taken_and_changes_nothing(front: Storefront) -> None:
    before = len(front.told("price.observed"))

    assert front.send(b"{}", headers_of(b"{}", topic="orders/create")).status_code == 200
    front.work_in()

    assert front.deliveries() == {"handled": 1}
    assert len(front.told("price.observed")) == before


def test_it_answers_before_anything_is_worked_in(front: Storefront) -> None:
    """The store is down: that is no matter of the answer."""
    body = front.body(SHIRT)
    httpx2.post(f"{front.sandbox.url}/sandbox/faults", json={"kind": "http_503", "rate": 1.0})

    started = time.monotonic()
    answer = front.send(body)

    assert answer.status_code == 200
    assert time.monotonic() - started < 1.0
