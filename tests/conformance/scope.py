"""What pricing never uses: operations that the sandbox leaves out on purpose, and why."""

import re
from typing import Final

OUT_OF_SCOPE: Final = (
    (r"Reorder", "the order of variants or media is no price"),
    (r"^productVariantRelationship", "bundles of variants are no price"),
    (r"^(file|media|product\w*Media|productVariant\w*Media)", "media are no price"),
    (r"^(metafield|metaobject|standardMeta)", "metafields and metaobjects are no price"),
    (r"^(customer|segment|order|draftOrder|fulfillment|return|refund|giftCard)", "customers and orders are no price"),
    (r"^(inventory(?!ItemUpdate)|location|shipping|delivery)", "stock and delivery are no price"),
    (r"^(company|companies)", "business customers are no price; their catalogs are"),
    (r"^(publication|publishable)", "publishing is no price"),
    (r"^(theme|page|blog|article|menu|urlRedirect|onlineStore)", "the online store is no price"),
)


def reason_out_of_scope(root: str) -> str | None:
    """Tell why an operation is out of scope; None for one that pricing may use."""
    return next((reason for pattern, reason in OUT_OF_SCOPE if re.search(pattern, root)), None)
