"""Shopify's `shopifyapp`: sign in, read the shop and its products, change prices, and go on after failures."""

import json
import sys
from dataclasses import asdict

from shopify_app import ShopifyApp

VERSION = "2026-10"
READ = """query($first: Int!) { shop { name currencyCode } products(first: $first) { nodes {
  id title variants(first: 100) { nodes { id price compareAtPrice } } } } }"""
WRITE = """mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants) {
    productVariants { id price compareAtPrice } userErrors { field message code } } }"""

DEAR = """{ products(first: 250) { nodes { variants(first: 250) { nodes {
  product { variants(first: 250) { nodes { id } } } } } } } }"""


def main() -> None:
    """Read the job from the first argument, and print what came of it."""
    job = json.loads(sys.argv[1])
    app = ShopifyApp(job["client_id"], job["client_secret"])
    signed_in = app.exchange_using_client_credentials(job["shop"])
    if not signed_in.ok:
        print(json.dumps({"signed_in": asdict(signed_in.log)}))
        return
    token = signed_in.access_token.token

    def ask(query: str, variables: dict) -> object:
        return app.admin_graphql_request(query, job["shop"], token, VERSION, variables=variables)

    read = ask(READ, {"first": 5})
    product = read.data["products"]["nodes"][0]
    variants = [{"id": each["id"], "price": job["price"]} for each in product["variants"]["nodes"]]
    written = ask(WRITE, {"productId": product["id"], "variants": variants})
    again = ask(READ, {"first": 1})
    dear = ask(DEAR, {})
    report = {
        "scope": signed_in.access_token.scope,
        "expires": signed_in.access_token.expires,
        "shop": read.data["shop"],
        "products": len(read.data["products"]["nodes"]),
        "sent": variants,
        "written": written.data,
        "write_log": [entry.code for entry in written.http_logs],
        "again": again.data["products"]["nodes"][0]["variants"]["nodes"] if again.ok else None,
        "cost": read.extensions["cost"],
        "refused": [dear.ok, dear.log.code, json.loads(dear.response.body)["errors"][0]["extensions"]["code"]],
    }
    print(json.dumps(report))


main()
