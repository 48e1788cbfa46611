"""`priceListFixedPricesByProductUpdate`: one fixed price for all variants of a product."""

from collections.abc import Sequence
from typing import Any, Final

from calibr_sandbox.catalog import Slice, find_product, list_variants
from calibr_sandbox.config import MAX_VARIANTS_PER_PRODUCT
from calibr_sandbox.context import Info
from calibr_sandbox.markets.fixed_prices import Entry, money_refusals, read_prices
from calibr_sandbox.markets.fixed_writes import write_fixed
from calibr_sandbox.markets.price_lists import find_price_list, fixed_prices
from calibr_sandbox.markets.refusals import Refusal, user_errors
from calibr_sandbox.markets.rows import FixedPrice, PriceListRow
from calibr_sandbox.queries import number_of
from calibr_sandbox.search import Filter
from calibr_sandbox.store import Store

_NOTHING: Final = Refusal(
    None,
    "No update operations are specified. `pricesToAdd` and `pricesToDeleteByProductIds` are empty.",
    "NO_UPDATE_OPERATIONS_SPECIFIED",
)
_NO_LIST: Final = Refusal(("priceListId",), "Price list does not exist.", "PRICE_LIST_DOES_NOT_EXIST")
_BOTH: Final = Refusal(
    None,
    "IDs specified in `pricesToAdd` and `pricesToDeleteByProductIds` must be mutually exclusive.",
    "ID_MUST_BE_MUTUALLY_EXCLUSIVE",
)


def resolve_by_product(
    _root: object,
    info: Info,
    priceListId: str,  # noqa: N803 - the arguments' names in the schema
    pricesToAdd: list[Entry] | None = None,  # noqa: N803
    pricesToDeleteByProductIds: list[str] | None = None,  # noqa: N803
) -> dict[str, Any]:
    """`priceListFixedPricesByProductUpdate`. A product without fixed prices may be in the list to delete."""
    store, entries = info.context.store, pricesToAdd or []
    added = [number_of(entry["productId"], "Product") for entry in entries]
    deleted = [number_of(text, "Product") for text in pricesToDeleteByProductIds or ()]
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        refusals = _refusals(store, price_list, entries, added, deleted)
        if price_list is None or refusals:
            payload = dict.fromkeys(("priceList", "pricesToAddProducts", "pricesToDeleteProducts"))
            return payload | {"userErrors": user_errors(refusals)}
        changes = _removals(store, price_list, deleted)
        for number, entry in zip(added, entries, strict=True):
            changes |= dict.fromkeys(_variants_of(store, number), read_prices(entry, price_list))
        write_fixed(store, connection, price_list, changes, info.context.writer)
    return {
        "priceList": price_list,
        "pricesToAddProducts": [find_product(store, number) for number in added],
        "pricesToDeleteProducts": [find_product(store, number) for number in deleted],
        "userErrors": [],
    }


def _refusals(
    store: Store, price_list: PriceListRow | None, entries: list[Entry], added: list[int], deleted: list[int]
) -> list[Refusal]:
    """The shape of the input comes first, then what it names, then the currencies."""
    if not added and not deleted:
        return [_NOTHING]
    if price_list is None:
        return [_NO_LIST]
    named = (("pricesToAdd", added), ("pricesToDeleteByProductIds", deleted))
    shape = [
        Refusal((argument,), f"Duplicate ID exists in `{argument}`.", "DUPLICATE_ID_IN_INPUT")
        for argument, numbers in named
        if len(set(numbers)) < len(numbers)
    ]
    if not shape and set(added) & set(deleted):
        shape = [_BOTH]
    if shape:
        return shape
    missing = [
        Refusal((argument, str(index)), f"Product ID in `{argument}` does not exist.", "PRODUCT_DOES_NOT_EXIST")
        for argument, numbers in named
        for index, number in enumerate(numbers)
        if find_product(store, number) is None
    ]
    return missing or _money(price_list, entries)


def _money(price_list: PriceListRow, entries: list[Entry]) -> list[Refusal]:
    refusals = []
    for index, entry in enumerate(entries):
        message = (
            f"The currency specified in `pricesToAdd` for product ID {entry['productId']} does not match the price "
            f"list's currency of {price_list.currency}."
        )
        for wrong in money_refusals(entry, price_list, ("pricesToAdd", str(index))):
            is_currency = wrong.code is not None
            refusals.append(Refusal(wrong.field, message, "PRICES_TO_ADD_CURRENCY_MISMATCH") if is_currency else wrong)
    return refusals


def _removals(store: Store, price_list: PriceListRow, products: Sequence[int]) -> dict[int, FixedPrice | None]:
    numbers = [variant for product in products for variant in _variants_of(store, product)]
    return dict.fromkeys(sorted(fixed_prices(store, price_list.id, numbers)))


def _variants_of(store: Store, product_id: int) -> list[int]:
    whole = Slice(MAX_VARIANTS_PER_PRODUCT)
    return [row.id for row in list_variants(store, whole, Filter("v.product_id = ?", (product_id,)))]
