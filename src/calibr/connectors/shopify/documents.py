"""Every GraphQL document that this connector sends. A test validates each against Shopify's published schema."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Document:
    """One operation. `name` is its operation name; `may_repeat` says that sending it twice does no harm."""

    name: str
    text: str
    may_repeat: bool = True

    @property
    def is_mutation(self) -> bool:
        """Whether its cost follows the rules of mutations."""
        return self.text.lstrip().startswith("mutation")


SHOP: Final = Document("CalibrShop", "query CalibrShop { shop { name currencyCode } }")

CHECK: Final = Document(
    "CalibrCheck",
    """
    query CalibrCheck {
      shop { name currencyCode plan { publicDisplayName } }
      currentAppInstallation { accessScopes { handle } }
    }
    """,
)

# The shop's currency comes with each answer, so that a store that changed it is noticed before its amounts are misread.
PRICES: Final = Document(
    "CalibrPrices",
    """
    query CalibrPrices($ids: [ID!]!) {
      shop { currencyCode }
      nodes(ids: $ids) { ... on ProductVariant { id price compareAtPrice } }
    }
    """,
)

UPDATE_PRICES: Final = Document(
    "CalibrUpdatePrices",
    """
    mutation CalibrUpdatePrices($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
      productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: true) {
        productVariants { id price compareAtPrice }
        userErrors { field code message }
      }
    }
    """,
    may_repeat=False,
)

# Two exports do no harm, but each takes a slot: one whose answer was lost is looked for before it is started again.
START_BULK_QUERY: Final = Document(
    "CalibrStartBulkQuery",
    """
    mutation CalibrStartBulkQuery($query: String!) {
      bulkOperationRunQuery(query: $query, groupObjects: false) {
        bulkOperation { id status }
        userErrors { field code message }
      }
    }
    """,
)

BULK_OPERATION: Final = Document(
    "CalibrBulkOperation",
    """
    query CalibrBulkOperation($id: ID!) {
      bulkOperation(id: $id) { id status errorCode objectCount fileSize url }
    }
    """,
)

BULK_OPERATIONS: Final = Document(
    "CalibrBulkOperations",
    """
    query CalibrBulkOperations($query: String!, $after: String) {
      bulkOperations(first: 50, after: $after, query: $query, sortKey: CREATED_AT, reverse: true) {
        nodes { id status errorCode objectCount fileSize url query }
        pageInfo { hasNextPage endCursor }
      }
    }
    """,
)

STAGE_UPLOAD: Final = Document(
    "CalibrStageUpload",
    """
    mutation CalibrStageUpload($input: [StagedUploadInput!]!) {
      stagedUploadsCreate(input: $input) {
        stagedTargets { url parameters { name value } }
        userErrors { field message }
      }
    }
    """,
)

START_BULK_MUTATION: Final = Document(
    "CalibrStartBulkMutation",
    """
    mutation CalibrStartBulkMutation($mutation: String!, $path: String!, $tag: String!) {
      bulkOperationRunMutation(mutation: $mutation, stagedUploadPath: $path, clientIdentifier: $tag) {
        bulkOperation { id status }
        userErrors { field code message }
      }
    }
    """,
    may_repeat=False,
)

CANCEL_BULK: Final = Document(
    "CalibrCancelBulk",
    """
    mutation CalibrCancelBulk($id: ID!) {
      bulkOperationCancel(id: $id) {
        bulkOperation { id status }
        userErrors { field message }
      }
    }
    """,
)

CATALOG: Final = Document(
    "CalibrCatalog",
    """
    query CalibrCatalog {
      products {
        edges { node {
          id title vendor productType status tags
          collections { edges { node { id handle title } } }
          variants {
            edges { node {
              id sku price compareAtPrice position
              selectedOptions { name value }
              inventoryItem { unitCost { amount currencyCode } }
            } }
          }
        } }
      }
    }
    """,
)
"""Runs as a bulk operation: only there may a connection stand without `first`. Each run has a name of its own."""

COUNT_VARIANTS: Final = Document(
    "CalibrCountVariants", "query CalibrCountVariants { productVariantsCount(limit: null) { count precision } }"
)

WEBHOOKS: Final = Document(
    "CalibrWebhooks",
    """
    query CalibrWebhooks($after: String) {
      webhookSubscriptions(first: 100, after: $after) {
        nodes { topic uri }
        pageInfo { hasNextPage endCursor }
      }
    }
    """,
)

# A subscription that exists already is refused, so that sending this twice makes one.
SUBSCRIBE_WEBHOOK: Final = Document(
    "CalibrSubscribeWebhook",
    """
    mutation CalibrSubscribeWebhook($topic: WebhookSubscriptionTopic!, $uri: String!) {
      webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri, format: JSON}) {
        webhookSubscription { id }
        userErrors { field message }
      }
    }
    """,
)

_MONEY: Final = "{ amount currencyCode }"
_PAGE: Final = "pageInfo { hasNextPage endCursor }"

PRICE_LISTS: Final = Document(
    "CalibrPriceLists",
    f"""
    query CalibrPriceLists($after: String) {{
      priceLists(first: 50, after: $after) {{
        nodes {{
          id name currency fixedPricesCount
          parent {{ adjustment {{ type value }} settings {{ compareAtMode }} }}
          catalog {{ __typename id status ... on MarketCatalog {{ markets(first: 250) {{ nodes {{ id }} }} }} }}
        }}
        {_PAGE}
      }}
    }}
    """,
)

MARKETS: Final = Document(
    "CalibrMarkets",
    f"""
    query CalibrMarkets($after: String) {{
      markets(first: 50, after: $after) {{
        nodes {{
          id name status
          currencySettings {{ baseCurrency {{ currencyCode }} }}
          conditions {{ regionsCondition {{ regions(first: 250) {{
            nodes {{ ... on MarketRegionCountry {{ code currency {{ currencyCode }} }} }}
          }} }} }}
        }}
        {_PAGE}
      }}
    }}
    """,
)

# A document of its own: it needs a scope that stores without company buyers need not grant.
COMPANY_LOCATIONS: Final = Document(
    "CalibrCompanyLocations",
    """
    query CalibrCompanyLocations($ids: [ID!]!) {
      nodes(ids: $ids) { ... on CompanyLocationCatalog { id companyLocations(first: 1) { nodes { id } } } }
    }
    """,
)

FIXED_PRICES: Final = Document(
    "CalibrFixedPrices",
    f"""
    query CalibrFixedPrices($id: ID!, $query: String, $after: String) {{
      priceList(id: $id) {{
        currency
        prices(first: 250, after: $after, originType: FIXED, query: $query) {{
          nodes {{ price {_MONEY} compareAtPrice {_MONEY} variant {{ id }} }}
          {_PAGE}
        }}
      }}
    }}
    """,
)

FIXED_PRICES_WITH_BREAKS: Final = Document(
    "CalibrFixedPricesWithBreaks",
    f"""
    query CalibrFixedPricesWithBreaks($id: ID!, $query: String, $after: String) {{
      priceList(id: $id) {{
        currency
        prices(first: 100, after: $after, originType: FIXED, query: $query) {{
          nodes {{
            price {_MONEY} compareAtPrice {_MONEY} variant {{ id }}
            quantityPriceBreaks(first: 250) {{ nodes {{ minimumQuantity price {_MONEY} }} }}
          }}
          {_PAGE}
        }}
      }}
    }}
    """,
)

PRICES_IN_CONTEXT: Final = Document(
    "CalibrPricesInContext",
    f"""
    query CalibrPricesInContext($ids: [ID!]!, $context: ContextualPricingContext!) {{
      nodes(ids: $ids) {{
        ... on ProductVariant {{ id contextualPricing(context: $context) {{ price {_MONEY} compareAtPrice {_MONEY} }} }}
      }}
    }}
    """,
)

UPDATE_FIXED_PRICES: Final = Document(
    "CalibrUpdateFixedPrices",
    f"""
    mutation CalibrUpdateFixedPrices($id: ID!, $set: [PriceListPriceInput!]!, $remove: [ID!]!) {{
      priceListFixedPricesUpdate(priceListId: $id, pricesToAdd: $set, variantIdsToDelete: $remove) {{
        pricesAdded {{ price {_MONEY} compareAtPrice {_MONEY} variant {{ id }} }}
        deletedFixedPriceVariantIds
        userErrors {{ field code message }}
      }}
    }}
    """,
    may_repeat=False,
)

ALL: Final = (
    *(SHOP, CHECK, PRICES, UPDATE_PRICES, START_BULK_QUERY, BULK_OPERATION, BULK_OPERATIONS),
    *(STAGE_UPLOAD, START_BULK_MUTATION, CANCEL_BULK, CATALOG, COUNT_VARIANTS, WEBHOOKS, SUBSCRIBE_WEBHOOK),
    *(PRICE_LISTS, MARKETS, COMPANY_LOCATIONS, FIXED_PRICES, FIXED_PRICES_WITH_BREAKS, PRICES_IN_CONTEXT),
    UPDATE_FIXED_PRICES,
)
