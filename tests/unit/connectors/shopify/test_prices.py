"""Reading current prices in batches."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from scripted_store import Reply, ScriptedStore, SentCall, answers, breaks, fails, refuses

from calibr.connectors.port import RemotePrice
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.errors import CallError
from calibr.connectors.shopify.prices import PriceReader, ShopCurrency
from calibr.core.errors import Invalid

PRICES = "CalibrPrices"
Read = Callable[[Sequence[str]], dict[str, RemotePrice]]


def shows(call: SentCall, currency: str = "USD", **changed: object) -> httpx2.Response:
    """Answer that each listing costs 19.99, with the nodes in `changed` (by `v<id>`) instead."""
    nodes: list[object] = []
    for gid in call.variables["ids"]:
        node: dict[str, Any] = {"id": gid, "price": "19.99", "compareAtPrice": None}
        nodes.append(changed.get(f"v{gid.rpartition('/')[2]}", node))
    return answers({"shop": {"currencyCode": currency}, "nodes": nodes})(call)


@pytest.fixture
def read(store: ScriptedStore, client: ShopifyClient, pool: ThreadPoolExecutor) -> Read:
    store.on(PRICES, shows)
    reader = PriceReader(client, ShopCurrency(client), pool)
    return lambda ids: reader.read(ids, "USD", client.throttle.clock() + 30)


def test_reads_in_batches_of_at_most_250_and_asks_for_each_id_once(store: ScriptedStore, read: Read) -> None:
    ids = [str(number) for number in range(1, 601)]

    prices = read(ids + ids[:50])

    assert list(prices) == ids
    assert prices["7"] == RemotePrice("7", "USD", 1999, None)
    assert sorted(len(call.variables["ids"]) for call in store.sent(PRICES)) == [100, 250, 250]


def test_a_listing_that_is_gone_is_absent(store: ScriptedStore, read: Read) -> None:
    store.on(PRICES, lambda call: shows(call, v2=None, v3={}))

    assert list(read(["1", "2", "3", "4"])) == ["1", "4"]


def test_an_amount_that_does_not_fit_concerns_its_row_only(store: ScriptedStore, read: Read) -> None:
    broken = {"id": "gid://shopify/ProductVariant/2", "price": "19.999", "compareAtPrice": "25.00"}
    store.on(PRICES, lambda call: shows(call, v2=broken))

    prices = read(["1", "2"])

    assert prices["1"].fault is None
    assert (prices["2"].unit_amount, prices["2"].compare_at) == (None, None)
    assert prices["2"].fault == "19.999 has too many decimals for USD"


def test_a_store_that_changed_its_currency_is_noticed(store: ScriptedStore, read: Read) -> None:
    store.on(PRICES, lambda call: shows(call, currency="JPY"))

    with pytest.raises(CallError, match="currency is JPY, but the price list is in USD"):
        read(["1"])


def test_a_failure_that_may_pass_is_tried_again(store: ScriptedStore, read: Read) -> None:
    store.on(PRICES, breaks(httpx2.ReadError), fails(502), shows)

    assert list(read(["1"])) == ["1"]
    assert len(store.sent(PRICES)) == 3


@pytest.mark.parametrize("reply", [fails(401), fails(402), refuses("ACCESS_DENIED"), answers({"nodes": []})])
def test_a_failure_that_lasts_is_told_at_once(store: ScriptedStore, read: Read, reply: Reply) -> None:
    store.on(PRICES, reply)

    with pytest.raises(CallError):
        read(["1"])

    assert len(store.sent(PRICES)) == 1


def test_a_batch_above_the_cap_is_halved(store: ScriptedStore, read: Read) -> None:
    def caps_at_100(call: SentCall) -> httpx2.Response:
        return shows(call) if len(call.variables["ids"]) <= 100 else refuses("MAX_COST_EXCEEDED")(call)

    store.on(PRICES, caps_at_100)

    assert len(read([str(number) for number in range(1, 251)])) == 250


def test_an_id_that_is_no_variant_number_is_refused_by_name(store: ScriptedStore, read: Read) -> None:
    with pytest.raises(Invalid, match="external id 'x1' must be the number of a Shopify variant"):
        read(["1", "x1"])

    assert store.calls == []


def test_nothing_asked_is_nothing_sent(store: ScriptedStore, read: Read) -> None:
    assert read([]) == {}
    assert store.calls == []
