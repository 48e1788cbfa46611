"""Finds things by the name that a person uses, since the API knows them by id."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from calibr.cli.client import Client
from calibr.cli.failures import CliError

Found = dict[str, Any]

_SUFFIX: int = 6
BASE: str = "base"


def find_change(api: Client, reference: str) -> Found:
    """A price change by id, by the end of its id, or by its name. Raises CliError when that is nobody, or several."""
    if _is_id(reference):
        return api.get(f"/v1/price-changes/{reference}")
    matches = _matching(api, "/v1/price-changes", reference)
    return api.get(f"/v1/price-changes/{_only(matches, 'price change', reference)['id']}")


def find_connection(api: Client, reference: str) -> Found:
    """A connection by id, by the end of its id, or by its name."""
    if _is_id(reference):
        return api.get(f"/v1/connections/{reference}")
    return _only(_matching(api, "/v1/connections", reference), "connection", reference)


def find_price_lists(api: Client, references: list[str]) -> list[Found]:
    """Price lists by id, the end of it, or name; `base` stands for the base prices of all stores. Each once."""
    known = list(api.pages("/v1/price-lists"))
    found: dict[str, Found] = {}
    for reference in references:
        if reference == BASE:
            chosen = [row for row in known if row["is_base"]]
        else:
            chosen = [_only(_named(known, reference), "price list", reference)]
        found |= {row["id"]: row for row in chosen}
    return list(found.values())


def find_user(api: Client, reference: str) -> Found:
    """A user by id or name."""
    users = [user for user in api.pages("/v1/users") if reference in {user["id"], user["name"]}]
    return _only(users, "user", reference)


def find_product(api: Client, reference: str) -> Found:
    """A product by id, or by a SKU that only one product has."""
    if _is_id(reference):
        return api.get(f"/v1/products/{reference}")
    return _only(list(api.pages("/v1/products", {"sku": reference}, limit=20)), "product", reference)


def short(identifier: object) -> str:
    """The end of an id, which tells things apart: the beginning is only the time."""
    return str(identifier)[-12:]


def _matching(api: Client, path: str, reference: str) -> list[Found]:
    return _named(api.pages(path), reference)


def _named(rows: Iterable[Found], reference: str) -> list[Found]:
    exact, ending = [], []
    for row in rows:
        if row["name"] == reference:
            exact.append(row)
        elif row["id"] == reference:
            return [row]
        elif len(reference) >= _SUFFIX and str(row["id"]).endswith(reference.lower()):
            ending.append(row)
    return exact or ending


def _only(matches: list[Found], what: str, reference: str) -> Found:
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise CliError(f"there is no {what} {reference!r}", code="cli.not_found")
    listed = ", ".join(str(row["id"]) for row in matches[:5])
    more = "" if len(matches) <= 5 else f" and {len(matches) - 5} more"  # noqa: PLR2004 - as many as fit a line or two
    raise CliError(f"{len(matches)} {what}s are called {reference!r}; say which by its id: {listed}{more}")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
