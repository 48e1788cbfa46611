"""Clients that neither Shopify nor we have written, as they come from the registries, against the sandbox."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clients_of_others import INSTALLER, Storefront, everything, run_job, serving, start_client

_LISTED = 20
"""How many variants of a product `lib-shopify-graphql` asks for unless it is told otherwise."""
_TAP = str(INSTALLER.python_of("tap-shopify").with_name("tap-shopify"))
STREAMS = ("products", "product_variants", "inventory_items")


def test_lib_shopify_graphql_lists_finds_and_changes(storefront: Storefront) -> None:
    report = run_job("lib-shopify-graphql", "lib_shopify_graphql_job.py", storefront, price="8.40", compare_at="99.00")

    variants = Counter(variant["product"]["id"] for variant in everything(storefront.control).values())
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


def _select(catalog: dict[str, Any], streams: tuple[str, ...]) -> dict[str, Any]:
    """Choose every field of these streams."""
    for stream in catalog["streams"]:
        wanted = stream["tap_stream_id"] in streams
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = wanted and entry["metadata"].get("inclusion") != "unsupported"
    return catalog


def _tap(shop: Storefront, config: Path, *arguments: str) -> "list[dict[str, Any]]":
    done = start_client("tap-shopify", [_TAP, "--config", str(config), *arguments], shop)
    assert done.returncode == 0, done.stderr[-4_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _catalog(folder: Path, shop: Storefront, config: Path, streams: tuple[str, ...]) -> Path:
    """Let the client discover its streams, and choose some."""
    discovered = start_client("tap-shopify", [_TAP, "--config", str(config), "--discover"], shop)
    assert discovered.returncode == 0, discovered.stderr[-4_000:]
    path = folder / "catalog.json"
    path.write_text(json.dumps(_select(json.loads(discovered.stdout), streams)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_tap_shopify_ingests_the_whole_catalog(tmp_path: Path) -> None:
    with serving(tmp_path, "--products", "1200", "--plan", "plus") as shop:
        stale = "shpat_ended_long_ago"  # the client must notice and sign in again
        config = _config(tmp_path, shop, access_token=stale, results_per_page="100", date_window_size="1000")
        catalog = _catalog(tmp_path, shop, config, STREAMS)
        assert json.loads(config.read_text(encoding="utf-8"))["access_token"] != stale

        lines = _tap(shop, config, "--catalog", str(catalog))

        ours = everything(shop.control)
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


@pytest.mark.slow
def test_tap_shopify_runs_its_bulk_query_to_the_end(tmp_path: Path) -> None:
    """Orders are all that this client exports in bulk. The shop has none: what comes back whole is nothing."""
    with serving(tmp_path, "--products", "5", "--bulk-delay", "0") as shop:
        config = _config(tmp_path, shop, date_window_size="5000")
        catalog = _catalog(tmp_path, shop, config, ("orders",))
        # It asks at once whether the operation has ended, and again after a minute: let it ask a little later.
        shop.control.request("POST", "/sandbox/faults", {"kind": "delay_before", "rate": 1.0, "delay_s": 0.5})

        lines = _tap(shop, config, "--catalog", str(catalog))

        ask = "{ bulkOperations(first: 9) { nodes { status type objectCount query } } }"
        (operation,) = shop.control.graphql(ask).data["bulkOperations"]["nodes"]
    assert (operation["status"], operation["type"], operation["objectCount"]) == ("COMPLETED", "QUERY", "0")
    assert "lineItems" in operation["query"]
    assert [line for line in lines if line["type"] == "RECORD"] == []
    assert "updatedAt" in lines[-1]["value"]["bookmarks"]["orders"]
    assert "bulk_operation" not in lines[-1]["value"]["bookmarks"]["orders"]
