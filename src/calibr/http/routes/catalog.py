"""Products, price lists, prices and facets, as the stores have them."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from calibr import catalog
from calibr.catalog import FacetCount, Market, MarketPrice, PriceList, PriceVersion, Product, ProductFilter
from calibr.core.ids import ProductId
from calibr.http.answer import Answer
from calibr.http.caller import CatalogRead
from calibr.http.pagination import DEFAULT_LIMIT, After, Filter, Keyset, Limit, Page

router = APIRouter(prefix="/v1", tags=["catalog"])
PRODUCTS = Keyset("products", (UUID,))


@router.get(
    "/products", summary="List products", operation_id="list_products", responses={200: {"model": Page[Product]}}
)
def list_products(
    *,
    caller: CatalogRead,
    sku: Filter = None,
    title: Annotated[Filter, Query(description="How the title begins.")] = None,
    tag: Filter = None,
    active: Annotated[bool | None, Query(description="`false`: those that no store sells any more.")] = True,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """Each with where it is sold, its prices in force and its cost. Texts are matched without regard to case."""
    start = PRODUCTS.first(after) if after is not None else None
    with caller.session() as session:
        rows = catalog.list_products(session, ProductFilter(sku, title, tag, active), after=start, limit=limit + 1)
    return Answer(PRODUCTS.page(rows, limit, view=lambda row: row, key=lambda row: (row.id,))).response()


@router.get(
    "/products/{product_id}", summary="Get a product", operation_id="get_product", responses={200: {"model": Product}}
)
def get_product(caller: CatalogRead, product_id: UUID) -> Response:
    """The sellable unit with one SKU: a variant, in Shopify's words."""
    with caller.session() as session:
        return Answer(catalog.get_product(session, ProductId(product_id))).response()


@router.get(
    "/products/{product_id}/prices",
    summary="The price history of a product",
    operation_id="list_product_prices",
    responses={200: {"model": Page[PriceVersion]}},
)
def list_prices(caller: CatalogRead, product_id: UUID) -> Response:
    """Newest first, on all price lists; the price in force has no `valid_to`. One page holds them all."""
    with caller.session() as session:
        return Answer(Page(catalog.list_prices(session, ProductId(product_id)), None)).response()


@router.get(
    "/price-lists",
    summary="List price lists",
    operation_id="list_price_lists",
    responses={200: {"model": Page[PriceList]}},
)
def list_price_lists(caller: CatalogRead) -> Response:
    """The base prices of every connection, and the lists beside them. One page holds them all."""
    with caller.session() as session:
        return Answer(Page(list(catalog.list_price_lists(session)), None)).response()


@router.get(
    "/products/{product_id}/market-prices",
    summary="What do buyers in each market pay now?",
    operation_id="list_market_prices",
    responses={200: {"model": Page[MarketPrice]}},
)
def list_market_prices(caller: CatalogRead, product_id: UUID) -> Response:
    """Asked of the stores at this moment, for one country of each active market."""
    with caller.session() as session:
        places = catalog.market_places(session, ProductId(product_id))
        connectors = {
            place.connection_id: catalog.open_connector(
                session, place.connection_id, caller.services.vault, caller.services.connectors
            )
            for place in places
        }
    try:
        found = [price for place in places for price in catalog.market_prices(connectors[place.connection_id], place)]
    finally:
        for connector in connectors.values():
            connector.close()
    return Answer(Page(found, None)).response()


@router.get(
    "/markets",
    summary="List markets",
    operation_id="list_markets",
    responses={200: {"model": Page[Market]}},
)
def list_markets(caller: CatalogRead) -> Response:
    """Where stores sell: countries, currency, and the price lists in force there. One page holds them all."""
    with caller.session() as session:
        return Answer(Page(catalog.list_markets(session), None)).response()


@router.get(
    "/facets/{field}",
    summary="The most frequent values of a field",
    operation_id="list_facets",
    responses={200: {"model": Page[FacetCount]}},
)
def list_facets(
    caller: CatalogRead, field: Literal["tags", "vendor", "product_type"], limit: Limit = DEFAULT_LIMIT
) -> Response:
    """Among active products, the most frequent first. Values are in the form in which selectors match them."""
    with caller.session() as session:
        return Answer(Page(catalog.facets(session, field, limit=limit), None)).response()
