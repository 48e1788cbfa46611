"""Fixed prices: set, set twice, taken back, by variant and by product; what the journal tells of each."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from market_shop import BLUE, CUP, MISSING, RED, SCOPES, SHIRT, Markets, codes, paths, price
from webhook_receiver import await_that

from calibr_sandbox.journal import stream_file
from calibr_sandbox.store import Store
from calibr_sandbox.testing import StartedSandbox, Starter

UPDATE = """mutation($list: ID!, $add: [PriceListPriceInput!]!, $delete: [ID!]!) {
  priceListFixedPricesUpdate(priceListId: $list, pricesToAdd: $add, variantIdsToDelete: $delete) {
    priceList { fixedPricesCount } pricesAdded { price { amount } } deletedFixedPriceVariantIds
    userErrors { field message code } } }"""
BY_PRODUCT = """mutation($list: ID!, $add: [PriceListProductPriceInput!], $delete: [ID!]) {
  priceListFixedPricesByProductUpdate(priceListId: $list, pricesToAdd: $add, pricesToDeleteByProductIds: $delete) {
    priceList { fixedPricesCount } pricesToAddProducts { id } pricesToDeleteProducts { id }
    userErrors { field message code } } }"""
NO_LIST = "gid://shopify/PriceList/1"
MUG = "gid://shopify/Product/8100000000002"


@pytest.fixture
def sandbox(start: Starter) -> StartedSandbox:
    return start(scopes=SCOPES)


@pytest.fixture
def price_list(markets: Markets) -> str:
    return markets.price_list("List", "EUR", -10)


def _journal(sandbox: StartedSandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.client.request("GET", "/sandbox/journal").body["writes"]
    return found


def _for_product(product: str, amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"productId": product, "price": {"amount": amount, "currencyCode": currency}}


def test_a_fixed_price_is_added_replaced_and_taken_back(markets: Markets, price_list: str) -> None:
    added = markets.fix(price_list, price(RED, "7.999", compare_at="12"), price(CUP, "3"))
    replaced = markets.fix(price_list, price(RED, "6"))
    taken = markets.loosen(price_list, RED)

    amounts = [(each["price"]["amount"], each["compareAtPrice"]) for each in added["prices"]]
    assert amounts == [("8.0", {"amount": "12.0"}), ("3.0", None)]
    assert replaced["prices"][0] == {
        "price": {"amount": "6.0", "currencyCode": "EUR"},
        "compareAtPrice": None,
        "originType": "FIXED",
        "variant": {"id": RED},
    }
    assert taken == {"deletedFixedPriceVariantIds": [RED], "userErrors": []}


def test_the_last_of_two_prices_for_a_variant_stays(markets: Markets, price_list: str, sandbox: StartedSandbox) -> None:
    payload = markets.fix(price_list, price(RED, "5"), price(BLUE, "6"), price(RED, "7"))

    assert [(each["variant"]["id"], each["price"]["amount"]) for each in payload["prices"]] == [
        (BLUE, "6.0"),
        (RED, "7.0"),
    ]
    assert len(_journal(sandbox)) == 2


def test_one_bad_row_keeps_all_others_from_being_written(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    payload = markets.fix(price_list, price(RED, "5"), price(MISSING, "5", "USD"), price(BLUE, "6", "USD"))

    assert payload["prices"] == []
    assert codes(payload) == ["VARIANT_NOT_FOUND", "PRICE_LIST_CURRENCY_MISMATCH"]
    assert paths(payload) == ["prices.1.variantId", "prices.2.price.currencyCode"]
    assert _journal(sandbox) == []


@pytest.mark.parametrize(
    ("amount", "path"), [("-0.01", "prices.0.price.amount"), ("1" + "0" * 18, "prices.0.price.amount")]
)
def test_an_amount_outside_of_what_a_price_may_be_is_refused(
    markets: Markets, price_list: str, amount: str, path: str
) -> None:
    payload = markets.fix(price_list, price(RED, amount))

    assert (paths(payload), payload["prices"]) == ([path], [])


def test_only_fixed_prices_can_be_taken_back(markets: Markets, price_list: str) -> None:
    markets.fix(price_list, price(RED, "5"))

    payload = markets.loosen(price_list, RED, BLUE, MISSING)

    assert payload["deletedFixedPriceVariantIds"] == []
    assert codes(payload) == ["PRICE_NOT_FIXED", "VARIANT_NOT_FOUND"]
    assert paths(payload) == ["variantIds.1", "variantIds.2"]
    assert markets.loosen(price_list, RED)["deletedFixedPriceVariantIds"] == [RED]


def test_an_update_takes_back_and_sets_in_one_step_or_not_at_all(markets: Markets, price_list: str) -> None:
    markets.fix(price_list, price(RED, "5"))

    refused = markets.call(UPDATE, list=price_list, add=[price(BLUE, "6")], delete=[CUP])
    done = markets.call(UPDATE, list=price_list, add=[price(BLUE, "6")], delete=[RED])

    assert (codes(refused), paths(refused)) == (["PRICE_NOT_FIXED"], ["variantIdsToDelete.0"])
    assert (refused["pricesAdded"], refused["priceList"]) == ([], {"fixedPricesCount": 1})
    assert (done["pricesAdded"], done["deletedFixedPriceVariantIds"]) == ([{"price": {"amount": "6.0"}}], [RED])
    assert done["priceList"] == {"fixedPricesCount": 1}


def test_a_list_that_does_not_exist_is_named(markets: Markets) -> None:
    assert (codes(markets.fix(NO_LIST, price(RED, "5"))), codes(markets.loosen(NO_LIST, RED))) == (
        ["PRICE_LIST_NOT_FOUND"],
        ["PRICE_LIST_NOT_FOUND"],
    )
    assert codes(markets.call(UPDATE, list=NO_LIST, add=[], delete=[])) == ["PRICE_LIST_NOT_FOUND"]
    payload = markets.call(BY_PRODUCT, list=NO_LIST, add=[_for_product(SHIRT, "5")])
    assert codes(payload) == ["PRICE_LIST_DOES_NOT_EXIST"]


def test_more_than_250_prices_are_refused_as_a_whole(markets: Markets, price_list: str) -> None:
    query = "mutation($l: ID!, $p: [PriceListPriceInput!]!) { priceListFixedPricesAdd(priceListId: $l, prices: $p) { userErrors { code } } }"  # noqa: E501
    body = markets.answer(query, l=price_list, p=[price(RED, "5")] * 251)

    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert body["errors"][0]["path"] == ["priceListFixedPricesAdd", "prices"]


def test_one_price_for_a_product_fixes_all_its_variants(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    markets.fix(price_list, price(CUP, "1"))

    payload = markets.call(BY_PRODUCT, list=price_list, add=[_for_product(SHIRT, "5")], delete=[MUG])

    assert payload["pricesToAddProducts"] == [{"id": SHIRT}]
    assert payload["pricesToDeleteProducts"] == [{"id": MUG}]
    assert payload["priceList"] == {"fixedPricesCount": 2}
    last = [(each["variant_id"], each["price"], each["price_before"]) for each in _journal(sandbox)[1:]]
    assert last == [(int(CUP[-14:]), None, "1.00"), (int(RED[-14:]), "5.00", None), (int(BLUE[-14:]), "5.00", None)]


def test_a_product_without_fixed_prices_may_be_taken_back(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    payload = markets.call(BY_PRODUCT, list=price_list, add=[], delete=[SHIRT])

    assert (payload["pricesToDeleteProducts"], payload["userErrors"]) == ([{"id": SHIRT}], [])
    assert _journal(sandbox) == []


@pytest.mark.parametrize(
    ("add", "delete", "code", "path"),
    [
        ([], [], "NO_UPDATE_OPERATIONS_SPECIFIED", ""),
        ([_for_product(SHIRT, "5")] * 2, [], "DUPLICATE_ID_IN_INPUT", "pricesToAdd"),
        ([], [SHIRT, SHIRT], "DUPLICATE_ID_IN_INPUT", "pricesToDeleteByProductIds"),
        ([_for_product(SHIRT, "5", "USD")], [SHIRT], "ID_MUST_BE_MUTUALLY_EXCLUSIVE", ""),
        ([_for_product("gid://shopify/Product/1", "5")], [], "PRODUCT_DOES_NOT_EXIST", "pricesToAdd.0"),
        ([_for_product(SHIRT, "5", "USD")], [], "PRICES_TO_ADD_CURRENCY_MISMATCH", "pricesToAdd.0.price.currencyCode"),
    ],
)
def test_refusals_by_product_come_one_kind_at_a_time(
    markets: Markets, price_list: str, add: list[Any], delete: list[str], code: str, path: str
) -> None:
    payload = markets.call(BY_PRODUCT, list=price_list, add=add, delete=delete)

    assert (codes(payload), paths(payload), payload["priceList"]) == ([code], [path], None)


def test_the_journal_tells_list_currency_before_after_and_who(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    markets.fix(price_list, price(RED, "5", compare_at="9"))
    markets.fix(price_list, price(RED, "5", compare_at="9"))
    markets.loosen(price_list, RED)

    entries = _journal(sandbox)
    told = [(e["price_before"], e["compare_at_price_before"], e["price"], e["compare_at_price"]) for e in entries]
    assert told == [(None, None, "5.00", "9.00"), ("5.00", "9.00", "5.00", "9.00"), ("5.00", "9.00", None, None)]
    assert [entry["effective"] for entry in entries] == [1, 0, 1]
    assert {(e["price_list_id"], e["currency"], e["source"]) for e in entries} == {
        (int(price_list.rpartition("/")[2]), "EUR", "api")
    }
    assert entries[0]["who"].startswith("api ")
    assert [entry["call"] for entry in entries] == [1, 2, 3]


def test_writes_of_variants_and_of_fixed_prices_are_counted_apart(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    markets.fix(price_list, price(RED, "5"))
    sandbox.client.request("POST", f"/sandbox/variants/{RED[-14:]}", {"price": "9"})

    stats = sandbox.client.request("GET", "/sandbox/stats").body
    assert (stats["fixed_price_writes"], stats["edits_by_hand"], stats["accepted_variant_writes"]) == (1, 1, 0)
    assert [entry["price_list_id"] is None for entry in _journal(sandbox)] == [False, True]


def test_a_currency_that_changes_tells_of_each_price_that_went(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    markets.fix(price_list, price(RED, "5"), price(CUP, "6"))
    query = """mutation($id: ID!) { priceListUpdate(id: $id, input: {currency: GBP}) { userErrors { code } } }"""
    markets.call(query, id=price_list)

    wiped = [(e["price_before"], e["price"], e["currency"]) for e in _journal(sandbox)[2:]]
    assert wiped == [("5.00", None, "EUR"), ("6.00", None, "EUR")]


def test_a_merchant_sets_fixed_prices_by_hand(markets: Markets, price_list: str, sandbox: StartedSandbox) -> None:
    markets.fix(price_list, price(RED, "5"))
    path = f"/sandbox/price-lists/{price_list}/prices"
    prices = [
        {"variant": RED[-14:], "price": None},
        {"variant": BLUE, "price": "7.5", "compareAtPrice": "9"},
    ]
    answer = sandbox.client.request("POST", path, {"prices": prices, "who": "Mia"})

    assert answer.body == {"edited": 2}
    told = [(e["source"], e["who"], e["price_before"], e["price"], e["compare_at_price"]) for e in _journal(sandbox)]
    assert told[1:] == [("hand", "Mia", "5.00", None, None), ("hand", "Mia", None, "7.50", "9.00")]


@pytest.mark.parametrize(
    ("prices", "status", "named"),
    [
        ([{"variant": RED, "price": "1"}, {"variant": "7", "price": "1"}], 404, "'7'"),
        ([{"variant": RED, "price": "-1"}], 400, "-1"),
        ([{"variant": RED, "price": 1.5}], 400, "1.5"),
        ([{"variant": RED}], 400, "less"),
        ([{"variant": RED, "price": "1", "cost": "1"}], 400, "cost"),
        ("all", 400, "prices"),
    ],
)
def test_edits_by_hand_that_make_no_sense_write_nothing(
    price_list: str, sandbox: StartedSandbox, prices: object, status: int, named: str
) -> None:
    answer = sandbox.client.request("POST", f"/sandbox/price-lists/{price_list}/prices", {"prices": prices})

    assert answer.status == status
    assert named in answer.body["error"]
    assert _journal(sandbox) == []
    assert sandbox.client.request("POST", "/sandbox/price-lists/5/prices", {"prices": []}).status == 404


def test_a_journal_of_an_earlier_version_is_kept_and_stays_append_only(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(
            "CREATE TABLE journal (seq INTEGER PRIMARY KEY AUTOINCREMENT, call INTEGER NOT NULL, source TEXT NOT NULL,"
            " at INTEGER NOT NULL, variant_id INTEGER NOT NULL, price TEXT NOT NULL, compare_at_price TEXT, cost TEXT);"
            "INSERT INTO journal VALUES (7, 3, 'api', 5, 11, '1.00', NULL, NULL);"
        )

    for _ in range(2):
        refused = pytest.raises(sqlite3.IntegrityError, match="append-only")
        with closing(Store(path, "USD")) as store, refused, store.transaction() as connection:
            connection.execute("DELETE FROM journal")

    (entry,) = stream_file(path)
    assert (entry["seq"], entry["call"], entry["price"], entry["price_list_id"]) == (7, 3, "1.00", None)


def test_fixed_prices_are_written_in_bulk_line_by_line(
    markets: Markets, price_list: str, sandbox: StartedSandbox
) -> None:
    lines = [{"list": price_list, "prices": [price(RED, "5")]}, {"list": price_list, "prices": [price(MISSING, "5")]}]
    sandbox.shop.staged.put("tmp/1/bulk/a/prices.jsonl", "\n".join(map(json.dumps, lines)).encode())
    mutation = """mutation($list: ID!, $prices: [PriceListPriceInput!]!) {
      priceListFixedPricesAdd(priceListId: $list, prices: $prices) { userErrors { code } } }"""
    run = """mutation($mutation: String!) {
      bulkOperationRunMutation(mutation: $mutation, stagedUploadPath: "tmp/1/bulk/a/prices.jsonl") {
        bulkOperation { id } userErrors { message } } }"""
    number = markets.call(run, mutation=mutation)["bulkOperation"]["id"]
    read = "query($id: ID!) { bulkOperation(id: $id) { status url } }"
    await_that(lambda: markets.call(read, id=number)["status"] == "COMPLETED")

    url = markets.call(read, id=number)["url"].removeprefix(sandbox.url)
    told = [json.loads(line) for line in sandbox.client.request("GET", url).body.splitlines()]
    found = {each["__lineNumber"]: codes(each["data"]["priceListFixedPricesAdd"]) for each in told}
    assert found == {0: [], 1: ["VARIANT_NOT_FOUND"]}
    assert [(entry["price"], entry["price_list_id"] is None) for entry in _journal(sandbox)] == [("5.00", False)]
