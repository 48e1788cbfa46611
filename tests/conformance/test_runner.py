"""The runner finds the requests in recordings of any shape, sees a planted difference, and excuses little."""

import json
from pathlib import Path
from typing import Any

import pytest
import run
from masks import differences
from recording import Result, Step, Upload, read_recording

PRODUCT, VARIANT = "gid://shopify/Product/9001", "gid://shopify/ProductVariant/9101"
READ = "query Read($id: ID!) { product(id: $id) { id title variants(first: 5) { nodes { id price } } } }"
STATE = {"id": PRODUCT, "title": "Hat", "variants": {"nodes": [{"id": VARIANT, "price": "5.00"}]}}
UPDATE = {
    "variables": {"productId": PRODUCT, "variants": [{"id": VARIANT, "price": "6", "compareAtPrice": None}]},
    "response": {
        "data": {
            "productVariantsBulkUpdate": {
                "product": {"id": PRODUCT},
                "productVariants": [{"id": VARIANT, "price": "6.00"}],
                "userErrors": [],
            }
        }
    },
}
UPSTREAM = [
    {"query": READ, "variables": {"id": PRODUCT}, "response": {"status": 200, "body": {"data": {"product": STATE}}}}
]


def write(folder: Path, content: dict[str, Any], name: str = "one.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def outcome(folder: Path, content: dict[str, Any]) -> run.Outcome:
    return run.outcome_of(write(folder, content), "one.json")


def test_requests_are_found_wherever_they_stand(tmp_path: Path) -> None:
    answer = {"data": {"shop": {"id": "gid://shopify/Shop/1"}}}
    query = "query { shop { id } }"
    content = {
        "apiVersion": "2025-07",
        "cleanup": {"last": {"query": query, "response": {"status": 200, "payload": answer}}},
        "request": {"query": query},
        "cases": [
            {"query": query, "variables": {}, "response": answer},
            {"request": {"document": query, "variables": {"a": 1}}, "response": {"payload": answer}},
            {"deep": [{"variables": {"b": 2}, "response": {"body": answer}}]},
            {"request": {"body": json.dumps({"query": query})}, "response": {"body": json.dumps(answer)}},
        ],
        "setup": {"first": {"data": answer["data"]}, "upload": {"status": 201, "body": "<xml/>", "sizeBytes": 3}},
        "result": {"records": [{"id": "x"}]},
        "second": {"result": {"body": '{"data":{"a":1},"__lineNumber":0}\n'}},
    }

    found = read_recording(write(tmp_path, content), "one")

    assert found.version == "2025-07"
    told = [(event.path, event.query, getattr(event, "role", "")) for event in found.events if isinstance(event, Step)]
    assert told == [
        ("setup/first", None, "setup"),
        ("cases[0]", query, "case"),
        ("cases[1]", query, "case"),
        ("cases[2]/deep[0]", query, "case"),
        ("cases[3]", query, "case"),
        ("cleanup/last", query, "cleanup"),
    ]
    assert [type(event) for event in found.events if not isinstance(event, Step)] == [Upload, Result, Result]


def test_a_request_without_its_query_is_rebuilt_and_matches(tmp_path: Path) -> None:
    found = outcome(tmp_path, {"mutation": UPDATE, "upstreamCalls": UPSTREAM})

    assert (found.verdict, found.compared, found.differences) == ("matches", 1, [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"price": "6.01"}, 'productVariants[0].price: "6.01", here "6.00"'),
        ({"id": "gid://shopify/Product/1"}, "productVariants[0].id"),
        ({"compareAtPrice": "9.00"}, 'productVariants[0].compareAtPrice: "9.00", here null'),
    ],
)
def test_a_planted_difference_is_seen(tmp_path: Path, change: dict[str, str], told: str) -> None:
    spoiled = json.loads(json.dumps(UPDATE))
    spoiled["response"]["data"]["productVariantsBulkUpdate"]["productVariants"][0].update(change)

    found = outcome(tmp_path, {"mutation": spoiled, "upstreamCalls": UPSTREAM})

    assert found.verdict == "differs"
    assert told in found.differences[0]


def test_a_product_of_a_setup_is_there_as_its_case_found_it(tmp_path: Path) -> None:
    query = "mutation($product: ProductCreateInput!) { productCreate(product: $product) { product { id title } } }"
    made = {"data": {"productCreate": {"product": {"id": PRODUCT, "title": "Hat"}}}}
    step = {"query": query, "variables": {"product": {"title": "Hat"}}, "response": {"payload": made}}
    read = {"query": READ, "variables": {"id": PRODUCT}, "response": {"payload": {"data": {"product": STATE}}}}

    found = outcome(tmp_path, {"apiVersion": "2026-04", "setup": {"product": step}, "case": read})

    assert found.differences == []
    assert found.compared == 1


def test_what_a_mutation_wrote_was_not_there_before(tmp_path: Path) -> None:
    (sent,) = UPDATE["variables"]["variants"]
    lost = {"variables": {**UPDATE["variables"], "variants": [{**sent, "price": None}]}, "response": UPDATE["response"]}

    found = outcome(tmp_path, {"mutation": lost})

    assert 'productVariants[0].price: "6.00", here "10.00"' in " ".join(found.differences)


def test_state_that_a_write_leaves_behind_is_compared_with_what_was_read_after_it(tmp_path: Path) -> None:
    after = {"query": READ, "variables": {"id": PRODUCT}, "response": {"data": {"product": STATE}}}

    found = outcome(tmp_path, {"mutation": UPDATE, "readAfter": after, "upstreamCalls": UPSTREAM})

    assert found.differences == ['readAfter: data.product.variants.nodes[0].price: "5.00", here "6.00"']


@pytest.mark.parametrize(
    ("query", "is_harmless"),
    [
        ('query S { products(first: 5, query: "title:Hat") { nodes { title } } }', True),
        ("query S { products(first: 5) { nodes { title } } }", False),
    ],
)
def test_only_a_search_may_have_found_nothing_yet(tmp_path: Path, query: str, *, is_harmless: bool) -> None:
    empty = {"query": query, "response": {"data": {"products": {"nodes": []}}}}

    found = outcome(tmp_path, {"mutation": UPDATE, "search": empty, "upstreamCalls": UPSTREAM})

    assert (found.verdict == "matches") is is_harmless
    assert len(found.notes) == is_harmless


def test_fixed_prices_are_brought_back_to_what_was_read_before_a_request(tmp_path: Path) -> None:
    number = "gid://shopify/PriceList/77"
    state = {"id": number, "name": "EU", "currency": "EUR", "fixedPricesCount": 0, "prices": {"edges": []}}
    product = {"id": PRODUCT, "title": "Hat"}
    found = {"priceList": state, "variants": [{"id": VARIANT, "price": "5.00", "product": product}]}
    add = {"priceListId": number, "prices": [{"variantId": VARIANT, "price": {"amount": "4", "currencyCode": "EUR"}}]}
    delete = {"priceListId": number, "variantIds": [VARIANT]}
    refusal = {"field": ["variantIds", "0"], "message": "Only fixed prices can be deleted.", "code": "PRICE_NOT_FIXED"}
    answer = {"deletedFixedPriceVariantIds": [], "userErrors": [refusal]}
    content = {
        "cases": [
            {"variables": add, "response": {"data": {"priceListFixedPricesAdd": {"userErrors": []}}}},
            {"variables": delete, "response": {"data": {"priceListFixedPricesDelete": answer}}},
        ],
        "upstreamCalls": [
            {"query": "query { priceList }", "variables": {**sent, "more": 1}, "response": {"body": {"data": found}}}
            for sent in (add, delete)
        ],
    }

    restored = outcome(tmp_path, content)
    content["upstreamCalls"].pop()
    kept = outcome(tmp_path, content)

    assert (restored.verdict, restored.differences) == ("matches", [])
    assert "userErrors: 1 items, here 0" in " ".join(kept.differences)


def test_what_pricing_never_uses_is_out_of_scope_with_the_reason(tmp_path: Path) -> None:
    media = {"variables": {"id": PRODUCT}, "response": {"data": {"productReorderMedia": {"userErrors": []}}}}

    found = outcome(tmp_path, {"cases": [media]})

    assert (found.verdict, found.left_out) == (
        "out of scope",
        ["productReorderMedia: the order of variants or media is no price"],
    )


def test_a_pricing_operation_that_is_not_served_differs(tmp_path: Path) -> None:
    asked = {"variables": {"id": 1}, "response": {"data": {"productPriceMagic": {"userErrors": []}}}}

    assert outcome(tmp_path, {"cases": [asked]}).differences == ["cases[0]: `productPriceMagic` is not served"]


def test_nothing_to_replay_is_no_success(tmp_path: Path) -> None:
    assert outcome(tmp_path, {"notes": "nothing"}).verdict == "differs"
    path = tmp_path / "bad.json"
    path.write_text("[1]", encoding="utf-8")
    assert run.outcome_of(path, "bad").differences[0].startswith("ValueError")


def test_masks_hide_what_no_two_stores_share_and_nothing_else() -> None:
    theirs = {
        "id": PRODUCT,
        "at": "2026-01-01T00:00:00Z",
        "cursor": "abc",
        "url": "https://a/b?c",
        "price": "5.00",
        "message": f"no {PRODUCT} at 2026-01-01T00:00:00Z",
    }
    ours = {
        "id": "gid://shopify/Product/1",
        "at": "2026-02-02T00:00:00Z",
        "cursor": "xyz",
        "url": "http://127.0.0.1:1/x",
        "price": "5.00",
        "message": "no gid://shopify/Product/2 at 2026-02-02T00:00:00Z",
    }

    assert differences(theirs, ours) == []
    assert differences(theirs, {**ours, "price": "5.0"}) == ['price: "5.00", here "5.0"']
    assert differences(theirs, {**ours, "id": "gid://shopify/ProductVariant/1"})[0].startswith("id: ")
    assert differences([1, 2], [1]) == [": 2 items, here 1"]
    assert differences({"status": "COMPLETED", "objectCount": "1"}, {"status": "COMPLETED", "objectCount": "2"})


def test_the_rate_decides_the_exit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"mutation": UPDATE, "upstreamCalls": UPSTREAM})
    assert run.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 recordings in scope match: 100.0 % (bound: 90 %)"

    write(tmp_path, {"notes": "nothing"}, "two.json")
    assert run.main([str(tmp_path)]) == 1
    assert run.main([str(tmp_path / "absent")]) == 2
    (tmp_path / "empty").mkdir()
    assert run.main([str(tmp_path / "empty")]) == 2
