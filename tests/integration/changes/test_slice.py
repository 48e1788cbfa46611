"""The whole way of a price change, from a draft to the store."""

from journeys import Journey
from stores import Shop

from calibr.changes.lifecycle import ChangeState, ItemState
from calibr.changes.model import Price
from calibr.db import Context, Database


def test_a_change_goes_from_draft_to_the_store(database: Database, shop: Shop, approver: Context) -> None:
    journey = Journey.begin(database, shop, approver)

    assert journey.preview().state is ChangeState.PREVIEWED
    journey.approve()
    journey.start()
    done = journey.run()

    assert done.state is ChangeState.APPLIED
    assert done.counts == {ItemState.APPLIED: 10}
    assert shop.store.prices == {
        f"e{n}": Price((1000 + n) * 9 // 10 + ((1000 + n) * 9 % 10 >= 5), None) for n in range(10)
    }
    assert len(shop.store.journal) == 10
