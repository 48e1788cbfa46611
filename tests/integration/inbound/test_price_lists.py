"""Price lists of a real sandbox store: read, changed, taken back; edits of others on them are found."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text
from storefront import EVERYTHING, Storefront

from calibr import catalog
from calibr.connectors.port import CatalogFinding, Progress
from calibr.connectors.port.price_lists import (
    Audience,
    ListedPrice,
    PriceListReading,
    QuantityBreak,
    RemoteMarket,
    RemotePriceList,
)
from calibr.core.errors import Upstream
from calibr.core.ids import PriceListId
from calibr.db import Role
from calibr.inbound import due_connections, watching
from calibr_sandbox.markets.seeds import read_markets, store_markets

RED, BLUE, CUP = 45_100_000_000_001, 45_100_000_000_002, 45_100_000_000_003
Known = dict[str, tuple[int | None, int | None, bool]]


@pytest.fixture
def listed(front: Storefront) -> Storefront:
    """A store that sells to Europe ten percent dearer, in euros, and to Britain at a fixed price for the cup."""
    store_markets(front.sandbox.shop.store, read_markets("EU:EUR:10,UK:GBP"))
    fix(front, "UK", CUP, "6.00", "8.00")
    read(front)
    return front


def read(front: Storefront) -> None:
    front.watcher(reread_share_bp=0, public_url=None, price_lists_every_s=0.001).run(front.connection_id)
    front.ledger()


def lists(front: Storefront) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in front.team.viewer.get("/v1/price-lists").json()["items"]}


def fix(front: Storefront, name: str, variant: int, price: str | None, compare_at: str | None = None) -> None:
    """What another app does on a list."""
    store = front.sandbox.shop.store
    (number,) = (row[0] for row in store.fetch_all("SELECT id FROM price_list WHERE name = ?", (name,)))
    body = {"prices": [{"variant": str(variant), "price": price, "compareAtPrice": compare_at}]}
    answer = httpx2.post(f"{front.sandbox.url}/sandbox/price-lists/{number}/prices", json=body)
    assert answer.status_code == 200, answer.text


def fixed_in_store(front: Storefront, name: str) -> dict[int, tuple[str, str | None]]:
    query = """SELECT f.variant_id, f.price, f.compare_at_price FROM fixed_price f
               JOIN price_list p ON p.id = f.price_list_id WHERE p.name = ?"""
    return {row[0]: (row[1], row[2]) for row in front.sandbox.shop.store.fetch_all(query, (name,))}


def known(front: Storefront, price_list: str) -> Known:
    query = text("""
        select l.external_id, v.unit_amount, v.compare_at, v.relative from calibr.price_version v
        join calibr.listing l on l.product_id = v.product_id
        where v.price_list_id = :list and v.ends_at = 'infinity'""")
    with front.database.session(front.worker, role=Role.WORKER) as session:
        rows = session.execute(query, {"list": UUID(price_list)}).all()
    return {row.external_id: (row.unit_amount, row.compare_at, row.relative) for row in rows}


def test_lists_markets_and_prices_are_read(listed: Storefront) -> None:
    eu, uk = lists(listed)["EU"], lists(listed)["UK"]
    markets = listed.team.viewer.get("/v1/markets").json()["items"]

    assert (eu["currency"], eu["audience"], eu["active"], eu["adjustment_ppm"]) == ("EUR", "market", True, 100_000)
    assert [(m["name"], m["currency"], m["price_list_ids"]) for m in markets] == [
        ("EU", "EUR", [eu["id"]]), ("UK", "GBP", [uk["id"]]),
    ]  # fmt: skip
    assert "DE" in markets[0]["countries"]
    assert known(listed, uk["id"])[str(CUP)] == (600, 800, False)
    assert known(listed, eu["id"])[str(RED)] == (1100, None, True)
    (told,) = listed.told("price_lists.read")
    assert {each["baseline"] for each in told["payload"]["price_lists"]} == {True}
    assert listed.told("price.observed") == []
    state = listed.team.viewer.get(f"/v1/connections/{listed.connection_id}/price-lists").json()
    assert state["problem"] is None
    assert state["read_at"] >= state["begun_at"]


def test_base_and_lists_change_together_and_are_taken_back(listed: Storefront) -> None:
    before = listed.prices(), fixed_in_store(listed, "EU"), fixed_in_store(listed, "UK")
    rows = listed.team.viewer.get("/v1/price-lists").json()["items"]

    change = listed.applied(price_list_ids=[row["id"] for row in rows])

    assert change["state"] == "applied"
    assert change["progress"]["counts"] == {"applied": 9}
    fixed = {row["name"]: 3 - row["becomes_fixed"] for row in change["summary"]["price_lists"]}
    assert fixed == {"EU": len(before[1]), "UK": len(before[2])}
    assert fixed_in_store(listed, "EU")[RED] == ("9.90", None)
    assert fixed_in_store(listed, "UK")[CUP] == ("5.40", "8.00")
    read(listed)
    assert listed.drift() == []

    back = listed.team.admin.post(f"/v1/price-changes/{change['id']}/rollback", json={}).json()
    assert listed.apply(listed.decided(back["id"]))["state"] == "applied"
    read(listed)
    assert (listed.prices(), fixed_in_store(listed, "EU"), fixed_in_store(listed, "UK")) == before
    assert listed.drift() == []


def test_an_edit_on_a_list_is_drift_until_it_is_edited_back(listed: Storefront) -> None:
    uk = lists(listed)["UK"]["id"]
    listed.applied(price_list_ids=[uk], selector=_only(listed, CUP))
    listed.ledger()
    fix(listed, "UK", CUP, "1.00")

    read(listed)

    (found,) = listed.drift()
    assert (found["price_list_id"], found["source"], found["external_id"]) == (uk, "price_lists", str(CUP))
    assert found["expected"] == {"unit_amount": 540, "compare_at": 800}
    assert found["observed"] == {"unit_amount": 100, "compare_at": None}

    fix(listed, "UK", CUP, "5.40", "8.00")
    read(listed)
    assert listed.drift() == []
    assert [each["payload"]["reason"] for each in listed.told("drift.gone")] == ["edited_back"]


def test_a_fixed_price_of_ours_that_somebody_took_away_is_drift_and_can_be_adopted(listed: Storefront) -> None:
    uk = lists(listed)["UK"]["id"]
    listed.applied(price_list_ids=[uk], selector=_only(listed, CUP))
    fix(listed, "UK", CUP, None)
    read(listed)
    (found,) = listed.drift()
    assert found["observed"] is None

    answer = listed.team.author.post(f"/v1/drift/{found['id']}/adopt", json={})

    assert answer.status_code == 200, answer.text
    assert listed.drift() == []
    fix(listed, "UK", CUP, "7.77")  # nothing is expected there any more
    read(listed)
    assert listed.drift() == []


def test_what_somebody_took_away_can_be_put_back(listed: Storefront) -> None:
    uk = lists(listed)["UK"]["id"]
    listed.applied(price_list_ids=[uk], selector=_only(listed, CUP))
    fix(listed, "UK", CUP, None)
    read(listed)
    (found,) = listed.drift()

    made = listed.team.author.post("/v1/drift/reassert", json={"drift_ids": [found["id"]]}).json()

    assert listed.apply(listed.decided(made["id"]))["state"] == "applied"
    listed.ledger()
    assert fixed_in_store(listed, "UK")[CUP] == ("5.40", "8.00")
    assert listed.drift("reasserted")[0]["id"] == found["id"]


def test_drift_in_a_currency_that_the_list_had_once_is_neither_adopted_nor_put_back(listed: Storefront) -> None:
    uk = lists(listed)["UK"]["id"]
    listed.applied(price_list_ids=[uk], selector=_only(listed, CUP))
    fix(listed, "UK", CUP, "1.00")
    read(listed)
    (found,) = listed.drift()
    with listed.database.session(listed.worker, role=Role.WORKER) as session:
        session.execute(text("update calibr.price_list set currency = 'JPY' where id = :id"), {"id": UUID(uk)})

    adopted = listed.team.author.post(f"/v1/drift/{found['id']}/adopt", json={})
    put_back = listed.team.author.post("/v1/drift/reassert", json={"drift_ids": [found["id"]]})

    assert (adopted.status_code, adopted.json()["code"]) == (409, "drift.currency_changed")
    assert (put_back.status_code, put_back.json()["code"]) == (409, "drift.currency_changed")


def test_a_moved_base_price_moves_relative_prices_without_events(listed: Storefront) -> None:
    listed.edit(RED, price="20.00")
    read(listed)

    assert known(listed, lists(listed)["EU"]["id"])[str(RED)] == (2200, None, True)
    assert listed.told("price.observed") == []


def test_market_prices_are_those_that_the_store_shows_now(listed: Storefront) -> None:
    (product,) = [
        row["id"]
        for row in listed.team.viewer.get("/v1/products").json()["items"]
        if row["channel_refs"][0]["external_id"] == str(CUP)
    ]
    fix(listed, "UK", CUP, "3.33")

    rows = listed.team.viewer.get(f"/v1/products/{product}/market-prices").json()["items"]

    assert {row["market"]: (row["currency"], row["unit_amount"]) for row in rows}["UK"] == ("GBP", 333)
    assert {row["market"]: row["country"] for row in rows}["UK"] == "GB"


def test_a_release_over_rest(listed: Storefront) -> None:
    uk = lists(listed)["UK"]["id"]
    body = {"name": "Release", "selector": EVERYTHING, "price_list_ids": [uk]}
    made = listed.team.author.post("/v1/price-changes/release", json=body).json()

    assert made["releases"] is True
    assert listed.apply(listed.decided(made["id"]))["state"] == "applied"
    assert fixed_in_store(listed, "UK") == {}
    read(listed)
    assert listed.drift() == []


def test_readings_are_due_after_a_sync_and_when_asked_for(front: Storefront) -> None:
    watcher = front.watcher(reread_share_bp=0, public_url=None)

    def due() -> set[str]:
        with front.database.session(front.worker, role=Role.WORKER) as session:
            return due_connections(session, watcher.settings).get(front.connection_id, set())

    assert "price_lists" in due()
    watcher.run(front.connection_id)
    assert due() == set()
    asked = front.team.author.post(f"/v1/connections/{front.connection_id}/price-lists/read", json={})
    assert asked.status_code == 202, asked.text
    assert due() == {"price_lists"}


def test_a_store_that_cannot_be_read_says_why_and_is_not_asked_at_once_again(front: Storefront) -> None:
    class Deaf:
        def __init__(self, inner: Any) -> None:  # noqa: ANN401
            self._inner = inner

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(self._inner, name)

        def read_price_lists(self, *_: object) -> None:
            raise Upstream("upstream.forbidden", "The app lacks read_markets.", retryable=False)

        price_book = read_market_prices = read_price_lists

    watcher = front.watcher(lambda id_: Deaf(front.connector(id_)), reread_share_bp=0, public_url=None)
    watcher.run(front.connection_id)

    state = front.team.viewer.get(f"/v1/connections/{front.connection_id}/price-lists").json()
    assert (state["problem"], state["read_at"]) == ("The app lacks read_markets.", None)
    with front.database.session(front.worker, role=Role.WORKER) as session:
        assert due_connections(session, watcher.settings) == {}


@pytest.mark.parametrize("asks", [False, True])
def test_a_long_reading_stays_with_its_worker_and_a_wish_meanwhile_is_kept(
    front: Storefront, monkeypatch: pytest.MonkeyPatch, *, asks: bool
) -> None:
    monkeypatch.setattr(watching, "RENEW_S", 0.0)
    monkeypatch.setattr(watching, "PRICE_LISTS_TAKE_S", 1.0)
    seen: list[set[str]] = []

    class Slow:
        def __init__(self, inner: Any) -> None:  # noqa: ANN401
            self._inner = inner

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(self._inner, name)

        def read_price_lists(self, work_dir: Path, progress: Progress) -> PriceListReading:
            for done in range(4):
                time.sleep(0.4)
                progress("fixed prices", done, None)
                seen.append(due())
            if asks:
                front.team.author.post(f"/v1/connections/{front.connection_id}/price-lists/read", json={})
                progress("fixed prices", 4, None)
            reading: PriceListReading = self._inner.read_price_lists(work_dir, progress)
            return reading

        price_book = read_market_prices = read_price_lists

    watcher = front.watcher(lambda id_: Slow(front.connector(id_)), reread_share_bp=0, public_url=None)

    def due() -> set[str]:
        with front.database.session(front.worker, role=Role.WORKER) as session:
            return due_connections(session, watcher.settings).get(front.connection_id, set())

    watcher.run(front.connection_id)

    assert seen == [set()] * 4
    assert due() == ({"price_lists"} if asks else set())


@dataclass
class Told:
    """A reading that says what it is told."""

    rows: Sequence[ListedPrice]
    currency: str = "EUR"
    refused: Sequence[CatalogFinding] = ()
    breaks: Sequence[QuantityBreak] = ()
    gone: bool = False
    price_lists: Sequence[RemotePriceList] = field(init=False)
    markets: Sequence[RemoteMarket] = ()

    def __post_init__(self) -> None:
        one = RemotePriceList("L", "List", self.currency, Audience.MARKET, True, 0, True, 0)  # noqa: FBT003
        self.price_lists = [] if self.gone else [one]

    def prices(self) -> Any:  # noqa: ANN401
        return iter([self.rows])

    def quantity_breaks(self) -> Any:  # noqa: ANN401
        return iter([self.breaks])

    def findings(self) -> Sequence[CatalogFinding]:
        return self.refused

    def close(self) -> None:
        pass


def take_in(front: Storefront, told: Told) -> None:
    with front.database.session(front.worker, role=Role.WORKER) as session:
        read_from = session.now
    with front.database.session(front.worker, role=Role.WORKER) as session:
        catalog.record_price_lists(session, front.connection_id, told, read_from)


@pytest.mark.parametrize("seed", range(4))
def test_the_difference_is_that_of_a_plain_loop(front: Storefront, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a seed is wanted
    expected: Known = {}
    events = 0
    for number in range(12):
        rows = [
            ListedPrice("L", str(v), chance.choice([100, 200]), chance.choice([None, 300]), chance.random() < 0.5)
            for v in (RED, BLUE, CUP)
            if chance.random() < 0.8
        ]
        take_in(front, Told(rows))
        shown: Known = {row.external_id: (row.unit_amount, row.compare_at, row.relative) for row in rows}
        for place in {*expected, *shown}:
            old, new = expected.get(place), shown.get(place, (None, None, True))
            is_decided = not new[2] or (old is not None and not old[2])
            events += number > 0 and old != new and is_decided
            expected[place] = new

        assert known(front, lists(front)["List"]["id"]) == expected
        assert len(front.told("price.observed")) == events


def test_a_refused_price_is_left_as_it_is_known(front: Storefront) -> None:
    take_in(front, Told([ListedPrice("L", str(RED), 100, None, False)]))  # noqa: FBT003
    take_in(front, Told([], refused=[CatalogFinding(str(RED), "price", "x", "is no amount")]))

    assert known(front, lists(front)["List"]["id"]) == {str(RED): (100, None, False)}
    with pytest.raises(Upstream):
        take_in(front, Told([], refused=[CatalogFinding("*", "price", None, "100 further values")]))


def test_a_list_that_is_gone_or_has_another_currency_loses_its_prices(front: Storefront) -> None:
    row, few = ListedPrice("L", str(RED), 100, None, False), [QuantityBreak("L", str(RED), 10, 90)]  # noqa: FBT003
    take_in(front, Told([row], breaks=few))
    number = lists(front)["List"]["id"]

    take_in(front, Told([row], currency="JPY"))
    assert lists(front)["List"]["currency"] == "JPY"
    assert known(front, number) == {str(RED): (100, None, False)}

    take_in(front, Told([], gone=True))
    assert (lists(front)["List"]["active"], known(front, number)) == (False, {})
    take_in(front, Told([], gone=True))
    assert [each["payload"]["gone"] for each in front.told("price_lists.read")] == [[], [], [number], []]
    body = {"name": "n", "selector": EVERYTHING, "transform": {"price": []}, "price_list_ids": [number]}
    assert front.team.author.post("/v1/price-changes", json=body).status_code == 422
    assert front.told("price.observed") == []


def test_a_price_that_was_written_since_is_younger_than_the_reading(front: Storefront) -> None:
    take_in(front, Told([ListedPrice("L", str(RED), 100, None, False)]))  # noqa: FBT003
    price_list = PriceListId(UUID(lists(front)["List"]["id"]))
    with front.database.session(front.worker, role=Role.WORKER) as session:
        read_from = session.now
    with front.database.session(front.worker, role=Role.WORKER) as session:
        product = session.execute(
            text("select product_id from calibr.listing where external_id = :id"), {"id": str(RED)}
        ).scalar_one()
        released = catalog.NewPrice(product, price_list, "EUR", None, None, relative=True)
        catalog.record_prices(session, [released], change_id=UUID(int=1), source="change")

    with front.database.session(front.worker, role=Role.WORKER) as session:
        told = Told([ListedPrice("L", str(RED), 100, None, False)])  # noqa: FBT003
        catalog.record_price_lists(session, front.connection_id, told, read_from)

    assert known(front, str(price_list)) == {str(RED): (None, None, True)}


def _only(front: Storefront, variant: int) -> dict[str, Any]:
    for product in front.team.viewer.get("/v1/products").json()["items"]:
        if any(ref["external_id"] == str(variant) for ref in product["channel_refs"]):
            return {"field": "product.title", "op": "eq", "value": product["title"]}
    raise AssertionError(variant)
