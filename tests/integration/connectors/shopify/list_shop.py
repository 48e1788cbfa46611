"""A sandbox shop with markets and a company, as a merchant makes them: through the API of the store."""

from dataclasses import dataclass
from typing import Any

from sandbox_process import TOKEN, Sandbox

SCOPES = (
    *("read_inventory", "read_markets", "read_products", "write_products"),
    *("write_markets", "write_publications", "write_companies"),
)
COMPANY = """mutation { companyCreate(input: {company: {name: "Hotel"}, companyLocation: {name: "Lobby"}}) {
  company { locations(first: 1) { nodes { id } } } userErrors { message } } }"""
LIST = """mutation($input: PriceListCreateInput!) { priceListCreate(input: $input) {
  priceList { id } userErrors { message } } }"""
CATALOG = """mutation($input: CatalogCreateInput!) { catalogCreate(input: $input) {
  catalog { id } userErrors { message } } }"""
BREAKS = """mutation($list: ID!, $input: QuantityPricingByVariantUpdateInput!) {
  quantityPricingByVariantUpdate(priceListId: $list, input: $input) {
    productVariants { id } userErrors { message } } }"""
CURRENCY = """mutation($id: ID!, $currency: CurrencyCode!) { priceListUpdate(id: $id, input: {currency: $currency}) {
  priceList { id } userErrors { message } } }"""
DELETE = "mutation($id: ID!) { priceListDelete(id: $id) { deletedId userErrors { message } } }"
NO_QUANTITIES: dict[str, list[Any]] = {
    "pricesToAdd": [], "pricesToDeleteByVariantId": [], "quantityPriceBreaksToAdd": [],
    "quantityPriceBreaksToDelete": [], "quantityRulesToAdd": [], "quantityRulesToDeleteByVariantId": [],
}  # fmt: skip


@dataclass(frozen=True)
class ListShop:
    """What a merchant does. Ids are short."""

    store: Sandbox

    def call(self, query: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        body = {"query": query, "variables": variables}
        headers = {"X-Shopify-Access-Token": TOKEN}
        answer = self.store.http.post("/admin/api/2026-10/graphql.json", json=body, headers=headers).json()
        (payload,) = answer["data"].values()
        assert payload["userErrors"] == []
        return dict(payload)

    def price_list(self, name: str, currency: str, *, compare_at_mode: str = "ADJUSTED") -> str:
        parent = {
            "adjustment": {"type": "PERCENTAGE_DECREASE", "value": 20},
            "settings": {"compareAtMode": compare_at_mode},
        }
        made = self.call(LIST, input={"name": name, "currency": currency, "parent": parent})
        return str(made["priceList"]["id"]).rpartition("/")[2]

    def for_company(self, price_list: str) -> None:
        """Put the list in force at a company's location."""
        (place,) = self.call(COMPANY)["company"]["locations"]["nodes"]
        self.call(
            CATALOG,
            input={
                "title": "Hotel", "status": "ACTIVE", "priceListId": gid(price_list),
                "context": {"companyLocationIds": [place["id"]]},
            },
        )  # fmt: skip

    def breaks(self, price_list: str, variant: str, **prices: str) -> None:
        """Set lower prices from some quantities on: `q10="4.00"`."""
        entries = [
            {"variantId": f"gid://shopify/ProductVariant/{variant}", "minimumQuantity": int(quantity[1:]),
             "price": {"amount": amount, "currencyCode": "USD"}}
            for quantity, amount in prices.items()
        ]  # fmt: skip
        self.call(BREAKS, list=gid(price_list), input=NO_QUANTITIES | {"quantityPriceBreaksToAdd": entries})

    def fix(self, price_list: str, variant: str, price: str | None, compare_at: str | None = None) -> None:
        """Edit a fixed price by hand."""
        given = {"variant": variant, "price": price, "compareAtPrice": compare_at}
        self.store.control("POST", f"price-lists/{price_list}/prices", {"prices": [given]})

    def change_currency(self, price_list: str, currency: str) -> None:
        self.call(CURRENCY, id=gid(price_list), currency=currency)

    def delete(self, price_list: str) -> None:
        self.call(DELETE, id=gid(price_list))


def gid(price_list: str) -> str:
    return f"gid://shopify/PriceList/{price_list}"
