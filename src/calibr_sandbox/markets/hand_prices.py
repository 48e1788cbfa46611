"""A merchant's edits of fixed prices by hand: all of them, or nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from calibr_sandbox.hand_edits import find_named, whole_number
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.markets.fixed_writes import write_fixed
from calibr_sandbox.markets.price_lists import find_price_list
from calibr_sandbox.markets.rows import FixedPrice, PriceListRow
from calibr_sandbox.money import parse_decimal, to_shop_text
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer

_KEYS: Final = {"variant", "price", "compareAtPrice"}
_MAX_NAME: Final = 120


def set_prices(store: Store, price_list: str, prices: Sequence[Mapping[str, Any]], who: str) -> int:
    """Set fixed prices in one transaction and return how many variants they are for; a price of None takes one away.

    Raises:
        LookupError: the list or a variant does not exist. Nothing was written then.
        ValueError: a price is not what it should be. Nothing was written then.
    """
    with store.transaction() as connection:
        found = _find_list(store, price_list)
        changes = {}
        for each in prices:
            unknown = sorted(set(each) - _KEYS)
            if unknown or not {"variant", "price"} <= set(each):
                raise ValueError(f"a price has {', '.join(sorted(_KEYS))}, not {', '.join(unknown) or 'less'}")
            changes[find_named(store, str(each["variant"])).id] = _read(found, each)
        write_fixed(store, connection, found, changes, Writer("hand", who[:_MAX_NAME]))
    return len(changes)


def _find_list(store: Store, text: str) -> PriceListRow:
    parsed = parse_gid(text)
    number = whole_number(text) if parsed is None else parsed.number
    found = None if number is None else find_price_list(store, number)
    if found is None:
        raise LookupError(f"there is no price list {text!r}")
    return found


def _read(price_list: PriceListRow, given: Mapping[str, Any]) -> FixedPrice | None:
    if given["price"] is None:
        return None
    compare_at = given.get("compareAtPrice")
    price = _amount(price_list, "price", given["price"])
    return FixedPrice(price, None if compare_at is None else _amount(price_list, "compareAtPrice", compare_at))


def _amount(price_list: PriceListRow, name: str, value: object) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f'{name}: {value!r} is not an amount; write it as text, as in "19.99"')  # noqa: TRY004 - input
    return to_shop_text(parse_decimal(str(value)), price_list.currency)
