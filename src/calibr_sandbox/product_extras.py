"""The texts and settings of a product that are no price: kept as JSON in one column, by their names in the API."""

import html
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import orjson

from calibr_sandbox.rows import ProductRow

Json = dict[str, Any]
DEFAULTS: Final[Json] = {
    "descriptionHtml": "",
    "giftCardTemplateSuffix": None,
    "requiresSellingPlan": False,
    "seo": {"title": None, "description": None},
    "templateSuffix": None,
}
_TAG: Final = re.compile(r"<[^>]*>")
_BLANKS: Final = re.compile(r"\s+")

_read: Final[Callable[[str], Json]] = lru_cache(maxsize=4096)(orjson.loads)


def product_reader(name: str) -> Callable[[ProductRow, object], Any]:
    """Return what reads a field of a product."""

    def read(row: ProductRow, _shop: object) -> Any:  # noqa: ANN401 - any JSON
        value = _read(row.extra).get(name)
        return DEFAULTS[name] if value is None else value

    return read


def description_of(row: ProductRow, truncate_at: int | None) -> str:
    """The description without its tags, no longer than a number of characters."""
    text = _BLANKS.sub(" ", html.unescape(_TAG.sub(" ", str(_read(row.extra).get("descriptionHtml") or "")))).strip()
    if truncate_at is None or len(text) <= truncate_at:
        return text
    return text[: max(0, truncate_at - 3)] + "..."


def changed_extra(text: str, given: Json) -> str:
    """Return the column after an input: an absent field stays as it is."""
    changes = {name: given[name] for name in DEFAULTS if name in given}
    if changes.get("seo"):
        changes["seo"] = {**DEFAULTS["seo"], **(_read(text).get("seo") or {}), **changes["seo"]}
    return orjson.dumps({**_read(text), **changes}).decode() if changes else text
