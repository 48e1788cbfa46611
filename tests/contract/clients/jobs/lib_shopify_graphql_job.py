"""`lib-shopify-graphql`: sign in, list the catalog, find a variant by its SKU, change prices one by one and in bulk."""

import json
import sys
from decimal import Decimal

import lib_shopify_graphql as lib


def main() -> None:
    """Read the job from the first argument, and print what came of it."""
    job = json.loads(sys.argv[1])
    credentials = lib.ShopifyCredentials(
        shop_url=job["domain"],
        client_id=job["client_id"],
        client_secret=job["client_secret"],
        api_version="2026-10",
    )
    session = lib.login(credentials)
    products = lib.list_products(session)
    product = next(each for each in products if len(each.variants) > 1)
    first, second = product.variants[:2]
    done = lib.update_variants_bulk(
        session,
        product.id,
        [
            lib.VariantUpdateRequest(
                variant_id=first.id, update=lib.VariantUpdate(price=Decimal(job["price"]), compare_at_price=None)
            ),
            lib.VariantUpdateRequest(
                variant_id=second.id, update=lib.VariantUpdate(compare_at_price=Decimal(job["compare_at"]))
            ),
        ],
    )
    refused = lib.update_variants_bulk(
        session,
        product.id,
        [lib.VariantUpdateRequest(variant_id=first.id, update=lib.VariantUpdate(price=Decimal(-1)))],
    )
    again = lib.get_product_by_id(session, product.id)
    report = {
        "products": len(products),
        "variants": sum(len(each.variants) for each in products),
        "prices": {each.id: str(each.price.amount) for each in again.variants},
        "compare_at": {each.id: each.compare_at_price and str(each.compare_at_price.amount) for each in again.variants},
        "first": first.id,
        "second": second.id,
        "succeeded": [each.identifier for each in done.succeeded],
        "refused": [each.error for each in refused.failed],
        "found_by_sku": lib.get_product_id_from_sku(session, first.sku) if first.sku else None,
        "product": product.id,
    }
    lib.logout(session)
    print(json.dumps(report))


main()
