import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from desk import EVERYTHING, TEN_PERCENT_OFF, Desk, open_desk

from calibr.core.errors import Upstream
from calibr.db import Database

if TYPE_CHECKING:
    from rest import Team


@pytest.fixture
def desk(database: Database, team: "Team") -> Desk:
    return open_desk(database, team)


def test_a_change_goes_from_a_rule_to_the_store_and_back(desk: Desk) -> None:
    change = desk.applied()

    assert change["state"] == "applied"
    assert change["progress"] == {"to_write": 10, "done": 10, "counts": {"applied": 10}}
    assert change["approved_by"] != change["created_by"]
    assert desk.shop.store.prices["e0"].unit_amount == 900

    answer = desk.act("rollback", change["id"], client=desk.team.approver)

    back = answer.json()
    assert (answer.status_code, back["state"], back["rollback_of"]) == (201, "previewed", change["id"])
    assert desk.change(change["id"])["rollbacks"] == [back["id"]]


def test_an_answer_has_its_etag_and_where_it_is(desk: Desk) -> None:
    made = desk.draft()

    assert made.headers["etag"] == '"1"'
    assert made.headers["location"] == f"/v1/price-changes/{made.json()['id']}"
    assert desk.team.author.get(made.headers["location"]).headers["etag"] == '"1"'


def test_documents_come_back_in_the_canonical_form_that_the_hash_covers(desk: Desk) -> None:
    raw = b'{"name":"n","transform":{"price":[]},"selector":{"value":1.50,"op":"eq","field":"product.attributes.x"}}'

    made = desk.team.author.post("/v1/price-changes", content=raw, headers={"Content-Type": "application/json"})

    canonical = (
        b'{"guardrails":[],"selector":{"field":"product.attributes.x","op":"eq","value":1.5},"transform":{"price":[]}}'
    )
    assert made.status_code == 201
    assert b'"selector":{"field":"product.attributes.x","op":"eq","value":1.5}' in made.content
    assert made.json()["rule_hash"] == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("literal", ["1234567890123456", "1234567890.123450", "1e15"])
def test_numbers_are_judged_as_they_are_written(desk: Desk, literal: str) -> None:
    """16 digits are too many, also where a float would have dropped the last one."""
    selector = f'{{"field":"product.attributes.x","op":"eq","value":{literal}}}'
    raw = f'{{"name":"n","transform":{{"price":[]}},"selector":{selector}}}'

    made = desk.team.author.post("/v1/price-changes", content=raw, headers={"Content-Type": "application/json"})

    digits = len(literal.partition("e")[0].replace(".", ""))
    assert made.status_code == (422 if digits > 15 else 201)
    if digits > 15:
        assert made.json()["faults"][0]["path"] == "$.selector.value"
        assert literal in made.json()["detail"]


def test_an_edit_makes_a_new_revision_and_voids_the_plan(desk: Desk) -> None:
    change = desk.previewed()
    assert change["plan_root"] is not None

    edited = desk.team.author.patch(
        f"/v1/price-changes/{change['id']}", json={"name": "Other"}, headers={"If-Match": '"1"'}
    )

    now = edited.json()
    assert (edited.status_code, edited.headers["etag"]) == (200, '"2"')
    assert (now["name"], now["state"], now["revision"], now["plan_root"]) == ("Other", "draft", 2, None)
    assert now["selector"] == change["selector"]


def test_one_document_can_be_edited_alone(desk: Desk) -> None:
    change_id = desk.drafted()
    path, headers = f"/v1/price-changes/{change_id}", {"If-Match": '"1"'}

    edited = desk.team.author.patch(path, json={"transform": {"price": []}}, headers=headers).json()

    assert (edited["transform"], edited["selector"]) == ({"price": []}, EVERYTHING)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 428, "precondition.required"),
        ({"If-Match": '"7"'}, 412, "price_change.stale_revision"),
        ({"If-Match": "*"}, 412, "precondition.failed"),
        ({"If-Match": 'W/"1"'}, 412, "precondition.failed"),
    ],
)
def test_an_edit_of_something_else_than_was_seen_is_refused(
    desk: Desk, headers: dict[str, str], status: int, code: str
) -> None:
    change_id = desk.drafted()
    before = desk.change(change_id)

    refused = desk.team.author.patch(f"/v1/price-changes/{change_id}", json={"name": "Other"}, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert desk.change(change_id) == before


@pytest.mark.parametrize(
    "body", [{}, {"selector": None}, {"name": None}, {"state": "approved"}, {"price_list_ids": []}]
)
def test_an_edit_of_nothing_or_of_what_the_server_decides_is_refused(desk: Desk, body: dict[str, Any]) -> None:
    change_id = desk.drafted()
    before = desk.change(change_id)

    refused = desk.team.author.patch(f"/v1/price-changes/{change_id}", json=body, headers={"If-Match": '"1"'})

    assert refused.status_code == 422
    assert desk.change(change_id) == before


USD_1, EUR_2 = {"amount": "1", "currency": "USD"}, {"amount": "2", "currency": "EUR"}
BAD_RULES = {
    "unknown field": (
        {"selector": {"field": "product.hue", "op": "eq", "value": "red"}}, "schema", "$.selector.field", "product.hue",
    ),
    "unknown operator": (
        {"selector": {"field": "product.tags", "op": "like", "value": "a"}}, "schema", "$.selector.op", "like",
    ),
    "wrong type": (
        {"transform": {"price": [{"op": "percent", "by": -10}]}}, "schema", "$.transform.price[0].by", "-10",
    ),
    "price not as text": (
        {"selector": {"field": "price.unit_amount", "op": "gt", "value": 9.99}}, "schema", "$.selector.value", "9.99",
    ),
    "everything not said": ({"selector": {}}, "schema", "$.selector", None),
    "percent below -100": (
        {"transform": {"price": [{"op": "percent", "by": "-100.5"}]}}, "schema", "$.transform.price[0].by", "-100.5",
    ),
    "two currencies in one step": (
        {"transform": {"price": [{"op": "clamp", "min": USD_1, "max": EUR_2}]}}, "schema", "$.transform.price[0]", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_RULES)
def test_a_bad_rule_is_refused_with_its_place_and_nothing_changes(desk: Desk, name: str) -> None:
    wishes, code, path, given = BAD_RULES[name]
    before = desk.events()

    refused = desk.draft(**wishes)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, f"document.{code}")
    assert problem["faults"][0]["path"].startswith(path)
    assert problem["faults"][0]["path"] in problem["detail"]
    if given is not None:
        assert given in problem["detail"]
    assert desk.events() == before
    assert desk.team.author.get("/v1/price-changes").json()["items"] == []


PREVIEW_FAULTS = {
    "too many decimals for the currency": ("amount_precision", {"amount": "1.005"}),
    "too large": ("amount_out_of_range", {"amount": "99999999999999"}),
}


@pytest.mark.parametrize("name", PREVIEW_FAULTS)
def test_an_amount_that_does_not_fit_the_currency_makes_a_draft_again(desk: Desk, name: str) -> None:
    code, amount = PREVIEW_FAULTS[name]
    guardrails = [{"id": "floor", "rule": "floor", **amount}]

    change = desk.previewed(guardrails=guardrails)

    assert (change["state"], change["plan_root"]) == ("draft", None)
    assert change["error"]["code"] == f"document.{code}"
    assert "$.guardrails[0].amount" in change["error"]["message"]


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        ({"price": [{"op": "amount", "by": "-20.00"}]}, "negative_price"),
        ({"price": [{"op": "set", "to": "1.005"}]}, "amount_precision"),
        ({"price": [{"op": "set", "to": {"amount": "5", "currency": "EUR"}}]}, "currency_mismatch"),
    ],
)
def test_a_price_that_cannot_be_is_blocked_with_its_reason(desk: Desk, transform: dict[str, Any], reason: str) -> None:
    change = desk.previewed(transform=transform)

    items = desk.items(change["id"], verdict="blocked")["items"]
    assert len(items) == 10
    assert {item["reason"] for item in items} == {reason}
    assert all(item["after"] == item["before"] for item in items)


def refused_step(desk: Desk, change: dict[str, Any], verb: str, who: str = "author", **body: object) -> tuple[int, str]:
    """The status and code of a step that must not be possible, after a look that it changed nothing."""
    before, events, journal = desk.change(change["id"]), desk.events(), list(desk.shop.store.journal)

    answer = desk.act(verb, change["id"], client=getattr(desk.team, who), **body)

    assert change["id"] in answer.json()["detail"] or "scope" in answer.json()["detail"]
    assert (desk.change(change["id"]), desk.events(), desk.shop.store.journal) == (before, events, journal)
    return answer.status_code, answer.json()["code"]


def test_the_author_has_no_scope_to_approve(desk: Desk) -> None:
    change = desk.submitted()

    assert refused_step(desk, change, "approve", plan_root=change["plan_root"]) == (403, "scope.missing")


def test_an_admin_who_is_the_author_cannot_approve_either(desk: Desk) -> None:
    body = {"name": "Sale", "selector": EVERYTHING, "transform": TEN_PERCENT_OFF}
    change_id = desk.team.admin.post("/v1/price-changes", json=body).json()["id"]
    desk.act("preview", change_id)
    desk.run_preview(change_id)
    change = desk.act("submit", change_id).json()

    refused = refused_step(desk, change, "approve", "admin", plan_root=change["plan_root"])

    assert refused == (403, "price_change.author_cannot_approve")


def test_a_stale_root_is_refused(desk: Desk) -> None:
    change = desk.submitted()

    refused = refused_step(desk, change, "approve", "approver", plan_root="0" * 64)

    assert refused == (409, "price_change.stale_plan_root")


@pytest.mark.parametrize("root", ["", "0", "Z" * 64, 7, None])
def test_a_root_of_the_wrong_form_is_refused(desk: Desk, root: object) -> None:
    change = desk.submitted()

    refused = desk.act("approve", change["id"], client=desk.team.approver, plan_root=root)

    assert (refused.status_code, refused.json()["faults"][0]["path"]) == (422, "$.plan_root")
    assert desk.change(change["id"])["state"] == "submitted"


@pytest.mark.parametrize("state", ["draft", "previewed", "submitted"])
def test_nothing_is_applied_without_approval(desk: Desk, state: str) -> None:
    makers = {"draft": lambda: desk.change(desk.drafted()), "previewed": desk.previewed, "submitted": desk.submitted}
    change = makers[state]()

    assert refused_step(desk, change, "apply", "approver") == (409, "price_change.wrong_state")


def test_a_second_apply_is_refused(desk: Desk) -> None:
    change = desk.applied()

    assert refused_step(desk, change, "apply", "approver") == (409, "price_change.wrong_state")


def test_an_edit_after_approval_voids_it(desk: Desk) -> None:
    change = desk.approved()
    path, headers = f"/v1/price-changes/{change['id']}", {"If-Match": '"1"'}

    edited = desk.team.author.patch(path, json={"transform": {"price": []}}, headers=headers).json()

    assert (edited["state"], edited["approved_by"], edited["approved_root"]) == ("draft", None, None)
    assert refused_step(desk, edited, "apply", "approver") == (409, "price_change.wrong_state")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("upstream.unreachable", "The store at 127.0.0.1 does not answer."),
        ("upstream.throttled", "The store throttles us: try again in 4 s."),
    ],
)
def test_a_store_that_lets_nobody_in_pauses_the_change_and_nothing_is_written(
    desk: Desk, code: str, message: str
) -> None:
    def refuse(_ids: object) -> None:
        raise Upstream(code, message, retryable=True)

    change = desk.approved()
    desk.shop.store.on_read = refuse
    desk.act("apply", change["id"], client=desk.team.approver)

    desk.run_apply(change["id"])

    now = desk.change(change["id"])
    assert (now["state"], now["error"]["code"]) == ("paused", code)
    assert message in now["error"]["message"]
    assert desk.shop.store.journal == []
    assert now["progress"]["done"] == 0


def test_a_rejection_needs_a_reason_and_ends_the_change(desk: Desk) -> None:
    change = desk.submitted()

    without = desk.act("reject", change["id"], client=desk.team.approver)
    with_one = desk.act("reject", change["id"], client=desk.team.approver, reason="too deep")

    assert (without.status_code, without.json()["faults"][0]["path"]) == (422, "$.reason")
    assert (with_one.json()["state"], with_one.json()["reason"]) == ("rejected", "too deep")


def test_pages_of_items_are_complete_and_in_the_order_of_the_plan(desk: Desk) -> None:
    change = desk.previewed()

    rows, after = [], None
    while True:
        page = desk.items(change["id"], limit=3, **({"after": after} if after else {}))
        rows += page["items"]
        after = page["next"]
        if after is None:
            break

    keys = [(row["price_list_id"], row["product_id"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == 10
    assert rows[0]["before"] == {"unit_amount": 1000, "compare_at": None, "relative": False}


def test_a_cursor_of_another_list_is_refused(desk: Desk) -> None:
    change = desk.previewed()
    cursor = desk.items(change["id"], limit=1)["next"]

    refused = desk.team.author.get("/v1/price-changes", params={"after": cursor})

    assert (refused.status_code, refused.json()["code"]) == (400, "request.cursor")


def test_every_item_can_say_why(desk: Desk) -> None:
    change = desk.previewed()

    for row in desk.items(change["id"])["items"]:
        key = f"{row['price_list_id']}/{row['product_id']}"
        trace = desk.team.viewer.get(f"/v1/price-changes/{change['id']}/items/{key}/explain").json()
        assert trace["inputs"]["unit_amount"] == row["before"]["unit_amount"]
        assert trace["after"] == {name: row["after"][name] for name in ("unit_amount", "compare_at")}
        assert trace["rule_hash"] == change["rule_hash"]


def test_the_plan_text_has_the_header_and_every_row(desk: Desk) -> None:
    change = desk.previewed()

    answer = desk.team.viewer.get(f"/v1/price-changes/{change['id']}/plan.txt")

    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert lines[0].startswith(f"calibr-plan/1|{change['id']}|1|{change['rule_hash']}|")
    assert len(lines) == 11
    assert answer.text.endswith("\n")


def test_there_is_no_plan_text_without_a_plan(desk: Desk) -> None:
    refused = desk.team.author.get(f"/v1/price-changes/{desk.drafted()}/plan.txt")

    assert (refused.status_code, refused.json()["code"]) == (409, "price_change.no_plan")


def test_the_whole_story_has_one_correlation_id(desk: Desk) -> None:
    change = desk.applied()

    query = {"entity": "price_change", "entity_id": change["id"]}
    story = desk.team.approver.get("/v1/audit", params=query).json()["items"]

    assert [entry["action"].removeprefix("price_change.") for entry in story] == [
        "created", "preview_requested", "previewed", "submitted", "approved", "apply_started", "applied",
    ]  # fmt: skip
    assert len({entry["correlation_id"] for entry in story}) == 1


def test_lists_show_changes_newest_first_by_state(desk: Desk) -> None:
    first, second = desk.drafted(name="first"), desk.previewed(name="second")["id"]

    everything = desk.team.viewer.get("/v1/price-changes").json()["items"]
    drafts = desk.team.viewer.get("/v1/price-changes", params={"state": "draft"}).json()["items"]

    assert [row["id"] for row in everything] == [second, first]
    assert [row["id"] for row in drafts] == [first]
    assert "selector" not in everything[0]
