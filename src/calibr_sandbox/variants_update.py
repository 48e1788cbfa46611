"""`productVariantsBulkUpdate`: what is written, and what the answer lists.

All rows or none are written, unless partial updates are allowed: then the good ones are. The answer lists
the variants that were sent, the failed ones too with their unchanged values; it lists none at all when a row
named no variant of the product and the update was atomic.
"""

from typing import Any

from calibr_sandbox.catalog import find_product, stream_variants_of, variants_by_id
from calibr_sandbox.context import Info
from calibr_sandbox.queries import number_of
from calibr_sandbox.rows import ProductRow, VariantRow
from calibr_sandbox.variant_rules import Entry, RowError, check_rows, variant_number
from calibr_sandbox.variant_writes import settle_product, write_variants


def resolve_bulk_update(
    _root: object,
    info: Info,
    productId: str,  # noqa: N803 - the argument's name in the schema
    variants: list[Entry],
    allowPartialUpdates: bool | None = False,  # noqa: FBT001, FBT002, N803
) -> dict[str, Any]:
    """`productVariantsBulkUpdate`: commit before answering."""
    store, product_id = info.context.store, number_of(productId, "Product")
    with store.transaction() as connection:
        product = find_product(store, product_id)
        if product is None:
            missing = RowError(("productId",), "Product does not exist", "PRODUCT_DOES_NOT_EXIST")
            return _payload(None, None, [missing])
        named = variants_by_id(store, [variant_number(entry) for entry in variants])
        known = {number: row for number, row in named.items() if row.product_id == product_id}
        checked = check_rows(variants, known, store.currency, lambda: stream_variants_of(store, product_id))
        is_written = allowPartialUpdates or not checked.errors
        stored = write_variants(connection, checked.updates if is_written else [], known, info.context.writer)
        if any(row.option_values != known[row.id].option_values for row in stored):
            settle_product(store, connection, product)
        product = find_product(store, product_id)
    info.context.announce(row.product_id for row in stored)
    if not allowPartialUpdates and any(error.is_unknown_variant for error in checked.errors):
        return _payload(product, None, checked.errors)
    current = known | {row.id: row for row in stored}
    sent = dict.fromkeys(variant_number(entry) for entry in variants)
    return _payload(product, [current[number] for number in sent if number in current], checked.errors)


def _payload(product: ProductRow | None, variants: list[VariantRow] | None, errors: list[RowError]) -> dict[str, Any]:
    user_errors = [{"field": list(e.field), "message": e.message, "code": e.code} for e in errors]
    return {"product": product, "productVariants": variants, "userErrors": user_errors}
