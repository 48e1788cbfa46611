"""The commands against a real server and store: tables for people, one document for programs, and clear refusals."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import Installation, Terminal

from calibr.cli.demo.processes import run_once

RULE = ["--everything", "--percent", "-10", "--ending", "0.99", "--compare-at", "old-price", "--min-markup", "20"]


@pytest.fixture(scope="session")
def connected(installation: Installation) -> Installation:
    """The installation with its store connected and read once."""
    environment = {"CALIBR_URL": installation.server.url, "CALIBR_TOKEN": installation.tokens["author"]}
    shop = ["--shop-url", installation.store.url, "--token-env", "STORE_TOKEN", "--json"]
    connect = ["calibr", "connect", "shopify", "--name", "sandbox", *shop]
    run_once(connect, {**environment, "STORE_TOKEN": "shpat_sandbox"})
    run_once(["calibr", "sync", "sandbox", "--json"], environment)
    return installation


@pytest.fixture
def at_work(author: Terminal, connected: Installation) -> Terminal:
    del connected
    return author


def test_a_change_goes_its_whole_way(at_work: Terminal, connected: Installation) -> None:
    """Written, previewed, shown, explained, submitted, approved, applied, looked at, rolled back."""
    calibr = at_work
    drafted = calibr("change", "new", "way", *RULE, "--json").document
    assert drafted["state"] == "draft"
    planned = calibr("change", "preview", "way", "--json")
    assert planned.document["state"] == "previewed"
    assert "previewing way" in planned.err
    shown = calibr("change", "show", "way")
    assert "at least 20 % above cost" in shown.out
    rows = calibr("change", "items", "way", "--limit", "500", "--json").document["items"]
    assert len(rows) == planned.document["summary"]["items"] == 60
    sku = next(row["sku"] for row in rows if row["sku"] and not row["sku"].startswith("DUP"))
    assert "price in force" in calibr("change", "explain", "way", sku).out
    plan = calibr("change", "plan", "way")
    assert plan.out.startswith(f"calibr-plan/1|{drafted['id']}|")
    assert len(plan.out.splitlines()) == 61
    root = calibr("change", "plan", "way", "--root").out.strip()
    assert root == planned.document["plan_root"]
    assert calibr("change", "submit", "way").code == 0

    calibr.become(connected.server.url, connected.tokens["approver"])
    assert calibr("change", "approve", "way", "--plan-root", root).code == 0
    applied = calibr("change", "apply", "way", "--json")
    assert applied.document["state"] == "applied"
    assert "applying way" in applied.err
    assert "approved" in calibr("audit", "list", "--entity", "price_change").out

    calibr.become(connected.server.url, connected.tokens["admin"])
    back = calibr("change", "rollback", "way", "--json").document
    assert back["rollback_of"] == drafted["id"]
    assert calibr("change", "submit", back["id"][-12:]).code == 0
    calibr.become(connected.server.url, connected.tokens["approver"])
    assert calibr("change", "approve", back["id"], "--plan-root", back["plan_root"]).code == 0
    assert calibr("change", "apply", back["id"], "--json").document["state"] == "applied"


@pytest.mark.parametrize(
    "arguments",
    [
        ["products"],
        ["connections"],
        ["connections", "check", "sandbox"],
        ["change", "list"],
        ["schema", "list"],
        ["whoami"],
    ],
    ids=" ".join,
)
def test_every_look_is_a_table_for_people_and_one_document_for_programs(
    at_work: Terminal, arguments: list[str]
) -> None:
    page, document = at_work(*arguments), at_work(*arguments, "--json")

    assert page.code == document.code == 0
    assert "\x1b" not in page.out + document.out
    assert isinstance(document.document, dict)
    with pytest.raises(json.JSONDecodeError):
        json.loads(page.out)
    assert document.err == ""


def test_products_are_found_by_tag_and_sku(at_work: Terminal) -> None:
    tagged = at_work("products", "--tag", "SALE", "--json").document["items"]
    sku = next(row["sku"] for row in tagged if row["sku"])

    assert all("sale" in row["tags"] for row in tagged)
    assert {row["sku"] for row in at_work("products", "--sku", sku, "--json").document["items"]} == {sku}


def test_a_second_sync_finds_nothing_new(at_work: Terminal) -> None:
    done = at_work("sync", "sandbox", "--json")

    assert done.document["state"] == "completed"
    assert done.document["summary"]["new"] == 0


@pytest.mark.parametrize(
    ("options", "mode"), [([], "incremental"), (["--incremental"], "incremental"), (["--full"], "full")]
)
def test_a_second_sync_reads_what_is_asked_for(at_work: Terminal, options: list[str], mode: str) -> None:
    done = at_work("sync", "sandbox", *options, "--json").document

    assert (done["state"], done["mode"], done["since"] is None) == ("completed", mode, mode == "full")
    assert f"sync completed  {mode}" in at_work("sync", "sandbox", *options).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["change", "show", "nobody"], "there is no price change 'nobody'"),
        (["sync", "nowhere"], "there is no connection 'nowhere'"),
        (["change", "new", "x", "--everything", "--percent", "-100"], "transform.price[0].by: "),
        (["change", "new", "x", "--everything", "--set", "-1"], "transform.price[0].to: "),
        (["user", "list"], "tokens:write"),
        (["audit", "list"], "audit:read"),
        (["schema", "show", "selectr"], "see `calibr schema list`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refusal_is_one_line_that_says_why(at_work: Terminal, arguments: list[str], said: str) -> None:
    done = at_work(*arguments)

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_every_fault_of_a_rule_has_its_line(at_work: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "rule.json"
    selector = {"all": [{"field": "product.colour", "op": "eq", "value": "red"}]}
    transform = {"price": [{"op": "double"}]}
    file.write_text(json.dumps({"selector": selector, "transform": transform}))

    done = at_work("change", "new", "x", "--rule", str(file))

    assert done.code == 2
    first, second = done.err.splitlines()
    assert first.startswith("error: selector.all[0].field: ")
    assert "product.colour" in first
    assert second.startswith("       transform.price[0]")


def test_what_is_not_approved_is_not_applied(at_work: Terminal, connected: Installation) -> None:
    at_work("change", "new", "hasty", *RULE)
    at_work("change", "preview", "hasty")
    at_work.become(connected.server.url, connected.tokens["approver"])

    done = at_work("change", "apply", "hasty")

    assert done.code == 2
    assert "hasty" in done.err or "previewed" in done.err
    assert at_work("change", "show", "hasty", "--json").document["state"] == "previewed"


def test_the_author_cannot_approve(at_work: Terminal) -> None:
    at_work("change", "new", "own", *RULE)
    root = at_work("change", "preview", "own", "--json").document["plan_root"]
    at_work("change", "submit", "own")

    done = at_work("change", "approve", "own", "--plan-root", root)

    assert done.code == 2
    assert "changes:approve" in done.err
    assert at_work("change", "show", "own", "--json").document["state"] == "submitted"


def test_an_approval_says_which_plan_it_is_of(at_work: Terminal, connected: Installation) -> None:
    at_work("change", "new", "blind", *RULE)
    at_work("change", "preview", "blind")
    at_work("change", "submit", "blind")
    at_work.become(connected.server.url, connected.tokens["approver"])

    without = at_work("change", "approve", "blind", "--json")
    stale = at_work("change", "approve", "blind", "--plan-root", "ab" * 32)

    assert (without.code, stale.code) == (2, 2)
    assert "--plan-root" in without.document["error"]["detail"]
    assert "plan root" in stale.err


def test_two_changes_of_one_name_are_told_apart_by_their_ids(at_work: Terminal) -> None:
    first = at_work("change", "new", "twin", *RULE, "--json").document
    at_work("change", "new", "twin", *RULE)

    ambiguous = at_work("change", "show", "twin")

    assert ambiguous.code == 2
    assert "2 price changes are called 'twin'" in ambiguous.err
    assert first["id"] in ambiguous.err
    assert at_work("change", "show", first["id"][-12:], "--json").document["id"] == first["id"]


def test_a_change_can_be_given_up_and_rejected(at_work: Terminal, connected: Installation) -> None:
    at_work("change", "new", "second-thoughts", *RULE)
    assert at_work("change", "cancel", "second-thoughts", "--reason", "too early").code == 0
    at_work("change", "new", "unwanted", *RULE)
    at_work("change", "preview", "unwanted")
    at_work("change", "submit", "unwanted")

    at_work.become(connected.server.url, connected.tokens["approver"])
    rejected = at_work("change", "reject", "unwanted", "--reason", "margin", "--json").document

    assert (rejected["state"], rejected["reason"]) == ("rejected", "margin")
    assert at_work("change", "list", "--state", "cancelled", "--json").document["items"][0]["reason"] == "too early"


def test_a_wrong_token_is_said_to_be_wrong(at_work: Terminal, connected: Installation) -> None:
    at_work.become(connected.server.url, "clbr_live_nonsense")

    done = at_work("change", "list")

    assert done.code == 2
    assert "token" in done.err
    assert "nonsense" not in done.err


def test_a_connection_that_is_no_store_is_unhealthy(at_work: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "shpat_wrong")

    done = at_work("connect", "shopify", "--name", "void", "--shop-url", "http://127.0.0.1:9", "--token-env", "WRONG")

    assert done.code == 1
    assert done.err.startswith("error: connection void: ")
    assert "shpat_wrong" not in done.out + done.err


def test_tokens_are_shown_once_and_can_be_revoked(calibr: Terminal, connected: Installation) -> None:
    calibr.become(connected.server.url, connected.tokens["admin"])
    text = calibr("token", "create", "spare", "--user", "Arlo", "--print-token").out.strip()
    made = next(t for t in calibr("token", "list", "--json").document["items"] if t["name"] == "spare")

    calibr.become(connected.server.url, text)
    assert calibr("whoami", "--json").document["user"]["name"] == "Arlo"
    calibr.become(connected.server.url, connected.tokens["admin"])
    assert text not in calibr("token", "list", "--json").out
    assert calibr("token", "revoke", made["id"][-12:]).code == 0

    calibr.become(connected.server.url, text)
    assert calibr("whoami").code == 2


def test_login_keeps_a_token_for_the_next_commands(
    calibr: Terminal, connected: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBR_PROFILE", str(tmp_path / "p" / "profile.json"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(connected.tokens["author"] + "\n"))

    told = calibr("login", "--url", connected.server.url, "--json").document
    me: dict[str, Any] = calibr("whoami", "--json").document

    assert told["user"]["name"] == me["user"]["name"] == "Arlo"
    assert connected.tokens["author"] not in json.dumps(told)
    assert calibr("logout").code == 0
    assert calibr("whoami").code != 0


def test_doctor_finds_nothing_wrong_with_a_running_installation(
    calibr: Terminal, connected: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIBR_DATA_DIR", connected.data_dir)

    done = calibr("doctor", "--json")

    assert done.code == 0, done.out
    assert done.document["ok"] is True
    database = next(check for check in done.document["checks"] if check["name"] == "database")
    assert "migration 0" in database["found"]
