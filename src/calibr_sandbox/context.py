"""What one request carries through the resolvers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import GraphQLResolveInfo

from calibr_sandbox.fields import ShopContext
from calibr_sandbox.staged_uploads import StagedUploads
from calibr_sandbox.store import Store
from calibr_sandbox.variant_writes import Writer
from calibr_sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    # Operations run lines in contexts like these: the two know each other.
    from calibr_sandbox.bulk import BulkOperations


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The shop as this caller sees it, its store for writing, and what goes on beside the requests."""

    shop: ShopContext
    store: Store
    bulk: "BulkOperations"
    staged: StagedUploads
    webhooks: Webhooks
    writer: Writer
    """Who calls, for the journal."""
    announce: Callable[[Iterable[int]], None]
    """Takes the ids of products that a committed write has touched."""
    version: str
    """The version of the API that the caller named."""


Info = GraphQLResolveInfo[RequestContext]
