"""What one request carries through the resolvers."""

from dataclasses import dataclass

from graphql import GraphQLResolveInfo

from calibr_sandbox.bulk import BulkOperations
from calibr_sandbox.fields import ShopContext
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer
from calibr_sandbox.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The shop as this caller sees it, its store for writing, and what goes on beside the requests."""

    shop: ShopContext
    store: Store
    bulk: BulkOperations
    webhooks: Webhooks
    writer: Writer
    """Who calls, for the journal."""


Info = GraphQLResolveInfo[RequestContext]
