"""What `productCreate` and `productUpdate` check, and what a good input makes of a product's row."""

import re
import time
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

import orjson

from calibr_sandbox.errors import BadRequestError
from calibr_sandbox.product_extras import changed_extra
from calibr_sandbox.rows import ProductRow
from calibr_sandbox.store import Reader
from calibr_sandbox.variant_options import STANDALONE

Input = dict[str, Any]
UserError = dict[str, Any]

_MAX_TEXT: Final = 255
_MAX_OPTIONS: Final = 3
_NOT_HANDLE: Final = re.compile(r"[^\w]+|_+")
_TEXTS: Final = {"title": "Title", "handle": "Handle", "vendor": "Vendor", "productType": "Product type"}
_NOT_KEPT: Final = ("category", "claimOwnership", "combinedListingRole", "giftCard", "redirectNewHandle")
_DEFAULT_OPTION: Final = [{"name": "Title", "values": list(STANDALONE)}]


def require_kept(given: Input, media: list[Input] | None) -> None:
    """Refuse what a sandbox shop has no place for: leaving it out in silence would hide mistakes."""
    names = [name for name in _NOT_KEPT if given.get(name)]
    if any(option.get("linkedMetafield") for option in given.get("productOptions") or ()):
        names.append("linkedMetafield")
    if media:
        names.append("media")
    if names:
        raise BadRequestError(f"The sandbox does not keep `{names[0]}` of products")


def errors_of(store: Reader, given: Input, own: int, *, is_new: bool) -> list[UserError]:
    """Tell what is wrong with an input, in the order of the checks. `own` is the product's number, 0 for a new one."""
    errors = []
    if (is_new or "title" in given) and not (given.get("title") or "").strip():
        errors.append(_error(["title"], "Title can't be blank"))
    for field, name in _TEXTS.items():
        if len(given.get(field) or "") > _MAX_TEXT:
            errors.append(_error([field], f"{name} is too long (maximum is {_MAX_TEXT} characters)"))
    wanted = handle_from(given.get("handle") or "")
    if wanted and _is_taken(store, wanted, own):
        errors.append(
            _error(["handle"], f"Handle '{wanted}' already in use. Please provide a new handle.", "HANDLE_NOT_UNIQUE")
        )
    return [*errors, *_option_errors(given.get("productOptions") or [])]


def _option_errors(options: list[Input]) -> Iterator[UserError]:
    if len(options) > _MAX_OPTIONS:
        yield _error(["productOptions"], f"A product has no more than {_MAX_OPTIONS} options", "OPTIONS_OVER_LIMIT")
    names = [(option.get("name") or "").strip() for option in options]
    for place, option in enumerate(options):
        path, values = ["productOptions", str(place)], _values_of(option)
        if not names[place]:
            yield _error([*path, "name"], "Option name can't be blank")
        elif names[place] in names[:place]:
            yield _error([*path, "name"], f"Option '{names[place]}' is named twice", "DUPLICATED_OPTION_NAME")
        if not values or not all(values):
            yield _error([*path, "values"], "Option values can't be blank", "OPTION_VALUES_MISSING")
        elif len(set(values)) < len(values):
            yield _error(
                [*path, "values"], f"Values of option '{names[place]}' are named twice", "DUPLICATED_OPTION_VALUE"
            )


def new_row(store: Reader, given: Input, number: int, shop_name: str) -> ProductRow:
    """Make the row of a new product: its one variant chooses the first value of each option."""
    now, declared = int(time.time()), declared_options(given.get("productOptions") or [])
    options = [{**option, "values": option["values"][:1], "declared": option["values"]} for option in declared]
    blank = ProductRow(
        id=number,
        title="",
        handle="",
        vendor=shop_name,
        product_type="",
        status="ACTIVE",
        tags="[]",
        options=orjson.dumps(options or _DEFAULT_OPTION).decode(),
        created_at=now,
        updated_at=now,
        extra="{}",
    )
    row = changed_row(blank, given, shop_name)
    return row if row.handle else row._replace(handle=_free_handle(store, handle_from(row.title) or "product"))


def changed_row(row: ProductRow, given: Input, shop_name: str) -> ProductRow:
    """Change what an input names, and leave the rest."""
    changes: Input = {"extra": changed_extra(row.extra, given)}
    if given.get("title"):
        changes["title"] = given["title"].strip()
    if handle_from(given.get("handle") or ""):
        changes["handle"] = handle_from(given["handle"])
    if "vendor" in given:
        changes["vendor"] = given["vendor"] or shop_name
    if "productType" in given:
        changes["product_type"] = given["productType"] or ""
    if given.get("status"):
        changes["status"] = given["status"]
    if "tags" in given:
        changes["tags"] = orjson.dumps(_tags(given["tags"] or [])).decode()
    return row._replace(**changes)


def first_choices(row: ProductRow) -> tuple[str, ...]:
    """What the one variant of a new product chooses."""
    return tuple(option["values"][0] for option in orjson.loads(row.options))


def handle_from(text: str) -> str:
    """Make a handle of a title: lower case, without accents, with hyphens for what is no letter or digit."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return _NOT_HANDLE.sub("-", plain.lower()).strip("-")


def _free_handle(store: Reader, wanted: str) -> str:
    handle, number = wanted, 0
    while _is_taken(store, handle, 0):
        number += 1
        handle = f"{wanted}-{number}"
    return handle


def _is_taken(store: Reader, handle: str, own: int) -> bool:
    return store.fetch_one("SELECT 1 FROM product WHERE handle = ? AND id <> ?", (handle, own)) is not None


def declared_options(options: list[Input]) -> list[Input]:
    """The options that an input names, in their order, with all of their values."""
    ordered = sorted(options, key=lambda option: option.get("position") or 0)
    return [{"name": option["name"].strip(), "values": _values_of(option)} for option in ordered]


def _values_of(option: Input) -> list[str]:
    return [(value.get("name") or "").strip() for value in option.get("values") or ()]


def _tags(sent: list[str]) -> list[str]:
    """Tags are parted by commas too, each stands once whatever its case, in alphabetical order."""
    found = {tag.lower(): tag for tag in reversed([part.strip() for text in sent for part in text.split(",")]) if tag}
    return sorted(found.values(), key=str.lower)


def _error(field: list[str], message: str, code: str = "INVALID_PRODUCT") -> UserError:
    """An error; its code is told by `productSet` only."""
    return {"field": field, "message": message, "code": code}
