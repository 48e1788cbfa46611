"""What one request carries through the resolvers."""

from dataclasses import dataclass

from calibr_sandbox.bulk import BulkOperations
from calibr_sandbox.fields import ShopContext


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The shop as this caller sees it, and the bulk operations that run beside the requests."""

    shop: ShopContext
    bulk: BulkOperations
