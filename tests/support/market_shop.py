"""A shop with markets for tests, and the calls that tests make on it."""

from collections.abc import Sequence
from typing import Any

from calibr_sandbox.testing import StartedSandbox

SCOPES = (
    *("read_inventory", "read_markets", "read_products", "write_products"),
    *("write_markets", "write_publications", "write_companies"),
)
SHIRT = "gid://shopify/Product/8100000000001"
RED, BLUE, CUP = (f"gid://shopify/ProductVariant/4510000000000{number}" for number in (1, 2, 3))
MISSING = "gid://shopify/ProductVariant/999999999999999"

_MARKET = """mutation($input: MarketCreateInput!) { marketCreate(input: $input) {
  market { id } userErrors { field message code } } }"""
_CATALOG = """mutation($input: CatalogCreateInput!) { catalogCreate(input: $input) {
  catalog { id } userErrors { field message code } } }"""
_LIST = """mutation($input: PriceListCreateInput!) { priceListCreate(input: $input) {
  priceList { id } userErrors { field message code } } }"""
_ADD = """mutation($list: ID!, $prices: [PriceListPriceInput!]!) {
  priceListFixedPricesAdd(priceListId: $list, prices: $prices) {
    prices { price { amount currencyCode } compareAtPrice { amount } originType variant { id } }
    userErrors { field message code } } }"""
_DELETE = """mutation($list: ID!, $ids: [ID!]!) { priceListFixedPricesDelete(priceListId: $list, variantIds: $ids) {
  deletedFixedPriceVariantIds userErrors { field message code } } }"""
_CONTEXTUAL = """query($id: ID!, $context: ContextualPricingContext!) { productVariant(id: $id) {
  contextualPricing(context: $context) { price { amount currencyCode } compareAtPrice { amount }
    quantityRule { minimum maximum increment isDefault }
    quantityPriceBreaks(first: 9) { nodes { minimumQuantity } } } } }"""


class Markets:
    """Calls on one shop. What should not be refused raises when it is."""

    def __init__(self, sandbox: StartedSandbox) -> None:
        self._client = sandbox.client

    def call(self, query: str, /, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return the payload of the only field of a call."""
        (payload,) = self._client.graphql(query, variables).data.values()
        return dict(payload)

    def answer(self, query: str, /, **variables: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the whole body of an answer."""
        return dict(self._client.graphql(query, variables).body)

    def market(self, name: str, currency: str, countries: Sequence[str], **more: Any) -> str:  # noqa: ANN401
        """Make an active market for these countries."""
        condition = {"regionsCondition": {"regions": [{"countryCode": code} for code in countries]}}
        given = {"name": name, "status": "ACTIVE", "conditions": condition if countries else None}
        given["currencySettings"] = {"baseCurrency": currency, **more}
        return self._made(_MARKET, "market", given)

    def catalog(self, title: str, markets: Sequence[str], **more: Any) -> str:  # noqa: ANN401
        """Make an active catalog for markets."""
        return self._made(
            _CATALOG, "catalog", {"title": title, "status": "ACTIVE", "context": {"marketIds": markets}, **more}
        )

    def price_list(self, name: str, currency: str, percent: float = 0, **more: Any) -> str:  # noqa: ANN401
        """Make a price list; a negative percentage is a decrease."""
        kind = "PERCENTAGE_DECREASE" if percent < 0 else "PERCENTAGE_INCREASE"
        parent = {"adjustment": {"type": kind, "value": abs(percent)}}
        if "compare_at_mode" in more:
            parent["settings"] = {"compareAtMode": more.pop("compare_at_mode")}
        return self._made(_LIST, "priceList", {"name": name, "currency": currency, "parent": parent, **more})

    def fix(self, price_list: str, *prices: dict[str, Any]) -> dict[str, Any]:
        """Call `priceListFixedPricesAdd`."""
        return self.call(_ADD, list=price_list, prices=list(prices))

    def loosen(self, price_list: str, *variants: str) -> dict[str, Any]:
        """Call `priceListFixedPricesDelete`."""
        return self.call(_DELETE, list=price_list, ids=list(variants))

    def seen_by(self, variant: str, **context: str) -> dict[str, Any]:
        """Return what a buyer in a context sees of a variant."""
        found = self.call(_CONTEXTUAL, id=variant, context=context)["contextualPricing"]
        return dict(found)

    def _made(self, query: str, field: str, given: dict[str, Any]) -> str:
        payload = self.call(query, input=given)
        assert payload["userErrors"] == []
        return str(payload[field]["id"])


def price(variant: str, amount: str, currency: str = "EUR", compare_at: str | None = None) -> dict[str, Any]:
    """Write one element of `prices`."""
    given = {"variantId": variant, "price": {"amount": amount, "currencyCode": currency}}
    if compare_at is not None:
        given["compareAtPrice"] = {"amount": compare_at, "currencyCode": currency}
    return given


def codes(payload: dict[str, Any]) -> list[str]:
    """List the codes of a payload's user errors."""
    return [error["code"] for error in payload["userErrors"]]


def paths(payload: dict[str, Any]) -> list[str]:
    """List the paths of a payload's user errors."""
    return [".".join(error["field"] or []) for error in payload["userErrors"]]
