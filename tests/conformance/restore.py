"""Brings fixed prices back to what the recorder read right before a request.

Between two requests a recorder may have cleaned up by calls that it did not write down. Where it read the store for a
request (the variables of that read hold those of the request), the fixed prices of the list are made what it saw.
"""

from typing import Any

from names import Names
from plan import Send
from presupposed import rows_of
from recording import Json, Step

from calibr_sandbox.client import SandboxClient

_READ = """query($id: ID!) { priceList(id: $id) { prices(first: 250, originType: FIXED) { nodes {
  variant { id } price { amount currencyCode } compareAtPrice { amount currencyCode } } } } }"""
_ADD = """mutation($id: ID!, $prices: [PriceListPriceInput!]!) { priceListFixedPricesAdd(priceListId: $id,
  prices: $prices) { userErrors { message } } }"""
_DELETE = """mutation($id: ID!, $ids: [ID!]!) { priceListFixedPricesDelete(priceListId: $id, variantIds: $ids) {
  userErrors { message } } }"""


class Restorer:
    """Knows what the recorder read, and for which requests."""

    def __init__(self, client: SandboxClient, names: Names, upstream: list[Step]) -> None:
        self._client = client
        self._names = names
        self._unused = list(upstream)

    def before(self, action: Send) -> None:
        """Make the fixed prices of a list what was read before this request, if it was."""
        for step in self._unused:
            data = step.body.get("data") or {}
            price_list = data.get("priceList") if isinstance(data, dict) else None
            if _is_for(step, action) and isinstance(price_list, dict) and _is_whole(price_list):
                self._unused.remove(step)
                self._restore(price_list)
                return

    def _restore(self, told: Json) -> None:
        number = self._names.rewrite(told["id"])
        answer = self._client.graphql(_READ, {"id": number}).body
        price_list = (answer.get("data") or {}).get("priceList")
        if not isinstance(price_list, dict):
            return
        ours = {row["variant"]["id"]: _prices(row) for row in rows_of(price_list["prices"])}
        theirs = {self._names.rewrite(row["variant"]["id"]): _prices(row) for row in rows_of(told["prices"])}
        gone = [variant for variant in ours if variant not in theirs]
        added = [{"variantId": variant, **row} for variant, row in theirs.items() if ours.get(variant) != row]
        if gone:
            self._client.graphql(_DELETE, {"id": number, "ids": gone})
        if added:
            self._client.graphql(_ADD, {"id": number, "prices": added})


def _is_for(step: Step, action: Send) -> bool:
    read = step.variables or {}
    return bool(action.step.variables) and all(read.get(k) == v for k, v in (action.step.variables or {}).items())


def _is_whole(price_list: Json) -> bool:
    """Whether all fixed prices of the list were read, and nothing else."""
    rows = rows_of(price_list.get("prices"))
    return "prices" in price_list and price_list.get("fixedPricesCount") == len(rows) and all(map(_is_fixed, rows))


def _is_fixed(row: Json) -> bool:
    return row.get("originType") == "FIXED" and "variant" in row and "price" in row


def _prices(row: Json) -> dict[str, Any]:
    """The amounts of a row."""
    found = {}
    for name in ("price", "compareAtPrice"):
        money = row.get(name)
        found[name] = money and {"amount": money["amount"], "currencyCode": money["currencyCode"]}
    return found
