"""Clients that neither Shopify nor we have written, as they come from the registries, against the sandbox."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clients_of_others import INSTALLER, Storefront, run_job, serving, start_client

from calibr_sandbox.client import SandboxClient

_LISTED = 20
"""How many variants of a product `lib-shopify-graphql` asks for unless it is told otherwise."""
_TAP = str(INSTALLER.python_of("tap-shopify").with_name("tap-shopify"))
STREAMS = ("products", "product_variants", "inventory_items")


def test_lib_shopify_graphql_lists_finds_and_changes(storefront: Storefront) -> None:
    report = run_job("lib-shopify-graphql", "lib_shopify_graphql_job.py", storefront, price="8.40", compare_at="99.00")

    variants = Counter(variant["product"]["id"] for variant in _everything(storefront.control).values())
    assert report["products"] == len(variants)
    assert report["variants"] == sum(min(_LISTED, count) for count in variants.values())
    assert report["succeeded"] == [report["first"], report["second"]]
    assert storefront.price(report["first"]) == "8.40"
    assert report["prices"][report["first"]] == "8.40"
    assert report["compare_at"][report["first"]] is None
    assert report["compare_at"][report["second"]] == "99.00"
    assert report["refused"] == ["Price must be greater than or equal to 0"]
    assert report["found_by_sku"] == [report["product"]]


def _config(folder: Path, shop: Storefront, **more: object) -> Path:
    path = folder / "config.json"
    signing_in = {name: shop.job[name] for name in ("shop", "client_id", "client_secret")}
    path.write_text(json.dumps({**signing_in, "start_date": "2025-12-01T00:00:00Z", **more}), encoding="utf-8")
    return path


def _select_all(catalog: dict[str, Any]) -> dict[str, Any]:
    """Choose every field of the streams that are about prices."""
    for stream in catalog["streams"]:
        wanted = stream["tap_stream_id"] in STREAMS
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = wanted and entry["metadata"].get("inclusion") != "unsupported"
    return catalog


def _tap(shop: Storefront, config: Path, *arguments: str) -> "list[dict[str, Any]]":
    done = start_client("tap-shopify", [_TAP, "--config", str(config), *arguments], shop)
    assert done.returncode == 0, done.stderr[-4_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _everything(client: SandboxClient) -> dict[str, dict[str, Any]]:
    """Read all variants of the shop page by page, by our own way."""
    query = """query($after: String) { productVariants(first: 200, after: $after) { pageInfo { hasNextPage endCursor }
      nodes { id price compareAtPrice sku inventoryItem { id unitCost { amount } } product { id title } } } }"""
    found: dict[str, dict[str, Any]] = {}
    after = None
    while True:
        page = client.graphql(query, {"after": after}).data["productVariants"]
        found |= {node["id"]: node for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


@pytest.mark.slow
def test_tap_shopify_ingests_the_whole_catalog(tmp_path: Path) -> None:
    with serving(tmp_path, "--products", "1200", "--plan", "plus") as shop:
        stale = "shpat_ended_long_ago"  # the client must notice and sign in again
        config = _config(tmp_path, shop, access_token=stale, results_per_page="100", date_window_size="1000")
        discovered = start_client("tap-shopify", [_TAP, "--config", str(config), "--discover"], shop)
        assert discovered.returncode == 0, discovered.stderr[-4_000:]
        catalog = tmp_path / "catalog.json"
        catalog.write_text(json.dumps(_select_all(json.loads(discovered.stdout))), encoding="utf-8")

        assert json.loads(config.read_text(encoding="utf-8"))["access_token"] != stale

        lines = _tap(shop, config, "--catalog", str(catalog))

        ours = _everything(shop.control)
    records = {name: [line["record"] for line in lines if line.get("stream") == name and line["type"] == "RECORD"]
               for name in STREAMS}  # fmt: skip
    assert Counter(record["id"] for record in records["product_variants"]) == Counter(list(ours))
    for record in records["product_variants"]:
        mine = ours[record["id"]]
        assert (record["price"], record["compareAtPrice"]) == (mine["price"], mine["compareAtPrice"])
        assert (record["sku"], record["product"]["id"]) == (mine["sku"], mine["product"]["id"])
    products = {variant["product"]["id"]: variant["product"]["title"] for variant in ours.values()}
    assert {record["id"]: record["title"] for record in records["products"]} == products
    assert len(records["products"]) == len(products)
    costs = {variant["inventoryItem"]["id"]: variant["inventoryItem"]["unitCost"] for variant in ours.values()}
    assert {record["id"]: record["unitCost"] for record in records["inventory_items"]} == costs
