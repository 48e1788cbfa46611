"""`calibr events` and `calibr subscription` against a real server."""

import json

import pytest
from terminal import Installation, Terminal


@pytest.fixture
def admin(calibr: Terminal, installation: Installation) -> Terminal:
    calibr.become(installation.server.url, installation.tokens["admin"])
    return calibr


def test_the_tail_shows_what_happened_one_line_each(admin: Terminal) -> None:
    shown = admin("events", "tail", "--no-follow", "--type", "user.created")

    assert shown.code == 0
    assert len(shown.out.splitlines()) == 3
    assert "user.created" in shown.out


def test_the_tail_prints_json_lines(admin: Terminal) -> None:
    lines = admin("events", "tail", "--no-follow", "--since", "2020-01-01T00:00:00Z", "--json").out.splitlines()

    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "tenant.created"


def test_a_subscription_is_made_watched_and_ended(admin: Terminal) -> None:
    made = admin("subscription", "create", "erp", "--to", "https://example.com/hook", "--type", "price.*", "--json")
    secret = made.document["secret"]
    assert secret.startswith("whsec_")
    assert "https://example.com/hook" in admin("subscription", "list").out
    assert "behind   0 of" in admin("subscription", "show", "erp").out
    assert admin("subscription", "pause", "erp").out.strip() == "erp is paused"
    assert admin("subscription", "resume", "erp").out.strip() == "erp is active"
    assert admin("subscription", "rotate-secret", "erp", "--json").document["secret"] != secret
    assert admin("subscription", "replay", "erp", "--from-seq", "0").out.strip() == "erp is replayed"
    assert admin("subscription", "dead-letters", "erp").out.strip() == "nothing is parked"
    refused = admin("subscription", "redeliver", "erp")
    assert (refused.code, "no such dead letters" in refused.err) == (2, True)
    assert admin("subscription", "delete", "erp").out.strip() == "erp is deleted"
    gone = admin("subscription", "show", "erp")
    assert (gone.code, "there is no subscription" in gone.err) == (2, True)


def test_a_private_address_is_refused_in_one_line(admin: Terminal) -> None:
    refused = admin("subscription", "create", "inside", "--to", "https://192.168.1.10/hook")

    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) <= 2
    assert "config.url" in refused.err
