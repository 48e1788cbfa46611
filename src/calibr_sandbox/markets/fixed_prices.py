"""`priceListFixedPricesAdd`, `...Update`, `...Delete`: fixed prices by variant. All rows take effect, or none."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from calibr_sandbox.catalog import variants_by_id
from calibr_sandbox.context import Info
from calibr_sandbox.ids import gid
from calibr_sandbox.markets.fixed_writes import write_fixed
from calibr_sandbox.markets.price_lists import find_price_list, fixed_prices, rows_of
from calibr_sandbox.markets.refusals import Path, Refusal, user_errors
from calibr_sandbox.markets.rows import FixedPrice, PriceListRow, PriceRow
from calibr_sandbox.money import UPPER_BOUND, to_shop_text
from calibr_sandbox.queries import number_of
from calibr_sandbox.store import Store

Entry = dict[str, Any]
_NO_LIST: Final = Refusal(("priceListId",), "Price list does not exist.", "PRICE_LIST_NOT_FOUND")
_CURRENCY: Final = ("The specified currency does not match the price list's currency.", "PRICE_LIST_CURRENCY_MISMATCH")
_NO_VARIANT: Final = ("Product variant ID does not exist.", "VARIANT_NOT_FOUND")


def resolve_add(_root: object, info: Info, priceListId: str, prices: list[Entry]) -> dict[str, Any]:  # noqa: N803
    """`priceListFixedPricesAdd`: a variant that is sent twice has its last price."""
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            return {"prices": None, "userErrors": user_errors([_NO_LIST])}
        checked = check_prices(store, price_list, prices, ("prices",))
        if checked.refusals:
            return {"prices": [], "userErrors": user_errors(checked.refusals)}
        write_fixed(store, connection, price_list, checked.prices, info.context.writer)
        written = _written(store, price_list, checked.prices)
    return {"prices": written, "userErrors": []}


def resolve_update(
    _root: object,
    info: Info,
    priceListId: str,  # noqa: N803 - the arguments' names in the schema
    pricesToAdd: list[Entry],  # noqa: N803
    variantIdsToDelete: list[str],  # noqa: N803
) -> dict[str, Any]:
    """`priceListFixedPricesUpdate`: takes fixed prices away, then sets others."""
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            payload = dict.fromkeys(("priceList", "pricesAdded", "deletedFixedPriceVariantIds"))
            return payload | {"userErrors": user_errors([_NO_LIST])}
        checked = check_prices(store, price_list, pricesToAdd, ("pricesToAdd",))
        deleted, wrong = _deletions(store, price_list, variantIdsToDelete, "variantIdsToDelete")
        refusals = checked.refusals + wrong
        if not refusals:
            changes = dict.fromkeys(deleted) | checked.prices
            write_fixed(store, connection, price_list, changes, info.context.writer)
        written = [] if refusals else _written(store, price_list, checked.prices)
    return {
        "priceList": price_list,
        "pricesAdded": written,
        "deletedFixedPriceVariantIds": [] if refusals else [gid("ProductVariant", number) for number in deleted],
        "userErrors": user_errors(refusals),
    }


def resolve_delete(_root: object, info: Info, priceListId: str, variantIds: list[str]) -> dict[str, Any]:  # noqa: N803
    """`priceListFixedPricesDelete`: the variants are back at the list's relative price."""
    store = info.context.store
    with store.transaction() as connection:
        price_list = find_price_list(store, number_of(priceListId, "PriceList"))
        if price_list is None:
            return {"deletedFixedPriceVariantIds": None, "userErrors": user_errors([_NO_LIST])}
        deleted, refusals = _deletions(store, price_list, variantIds, "variantIds")
        if refusals:
            return {"deletedFixedPriceVariantIds": [], "userErrors": user_errors(refusals)}
        write_fixed(store, connection, price_list, dict.fromkeys(deleted), info.context.writer)
    return {"deletedFixedPriceVariantIds": [gid("ProductVariant", number) for number in deleted], "userErrors": []}


@dataclass(frozen=True, slots=True)
class CheckedPrices:
    """The prices of an input by variant, and what is wrong with it."""

    prices: dict[int, FixedPrice]
    refusals: list[Refusal]


def check_prices(store: Store, price_list: PriceListRow, entries: list[Entry], path: Path) -> CheckedPrices:
    """Read fixed prices. A row whose variant does not exist is not looked at any further."""
    numbers = [number_of(entry["variantId"], "ProductVariant") for entry in entries]
    known = variants_by_id(store, sorted(set(numbers)))
    prices: dict[int, FixedPrice] = {}
    refusals: list[Refusal] = []
    for index, (number, entry) in enumerate(zip(numbers, entries, strict=True)):
        row = (*path, str(index))
        wrong = (
            money_refusals(entry, price_list, row) if number in known else [Refusal((*row, "variantId"), *_NO_VARIANT)]
        )
        refusals += wrong
        if not wrong:
            prices.pop(number, None)
            prices[number] = read_prices(entry, price_list)
    return CheckedPrices(prices, refusals)


def money_refusals(entry: Entry, price_list: PriceListRow, path: Path) -> list[Refusal]:
    """Check price and compare-at price of one row: the currency, then the amount."""
    refusals = []
    for name, title in (("price", "Price"), ("compareAtPrice", "Compare at price")):
        money = entry.get(name)
        if money is None:
            continue
        if money["currencyCode"] != price_list.currency:
            refusals.append(Refusal((*path, name, "currencyCode"), *_CURRENCY))
        else:
            refusals += amount_refusals(money["amount"], (*path, name, "amount"), title)
    return refusals


def amount_refusals(amount: Decimal, path: Path, name: str) -> list[Refusal]:
    """Check an amount. Shopify's schema has no code for a bad one here."""
    if amount < 0:
        return [Refusal(path, f"{name} must be greater than or equal to 0", None)]
    return [Refusal(path, f"{name} must be less than {UPPER_BOUND}", None)] if amount >= UPPER_BOUND else []


def read_prices(entry: Entry, price_list: PriceListRow) -> FixedPrice:
    """Take the amounts out of a good row."""
    compare_at = entry.get("compareAtPrice")
    return FixedPrice(
        to_shop_text(entry["price"]["amount"], price_list.currency),
        None if compare_at is None else to_shop_text(compare_at["amount"], price_list.currency),
    )


def _deletions(
    store: Store, price_list: PriceListRow, ids: list[str], argument: str
) -> tuple[list[int], list[Refusal]]:
    numbers = [number_of(text, "ProductVariant") for text in ids]
    known = variants_by_id(store, sorted(set(numbers)))
    fixed = fixed_prices(store, price_list.id, numbers)
    refusals = []
    for index, number in enumerate(numbers):
        path = (argument, str(index))
        if number not in known:
            refusals.append(Refusal(path, *_NO_VARIANT))
        elif number not in fixed:
            refusals.append(Refusal(path, "Only fixed prices can be deleted.", "PRICE_NOT_FIXED"))
    return list(dict.fromkeys(numbers)), refusals


def _written(store: Store, price_list: PriceListRow, prices: dict[int, FixedPrice]) -> list[PriceRow]:
    known = variants_by_id(store, list(prices))
    return rows_of(store, price_list, [known[number] for number in prices])
