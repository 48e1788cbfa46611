"""`POST /sandbox/webhooks/trigger`: sends webhooks that nothing in the sandbox causes, as if it had happened."""

from collections.abc import Callable
from typing import Any, Final

from calibr_sandbox.endpoint import Shop
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.webhook_body import (
    bulk_body,
    compliance_body,
    product_body,
    scopes_body,
    shop_body,
)
from calibr_sandbox.webhooks import COMPLIANCE

Given = dict[str, Any]


def trigger(shop: Shop, given: Given) -> dict[str, object]:
    """Send one event of a topic to its subscribers, and say to how many.

    `given` has the `topic`, what it is about (`product`, `operation`, or `previous` and `current` scopes), and in
    `body` fields that replace those of the body. Raises ValueError for anything else, LookupError for what is absent.
    """
    topic = given.get("topic")
    make = _BODIES.get(str(topic))
    if make is None:
        raise ValueError(f"topic: {topic!r} cannot be triggered; there are {', '.join(_BODIES)}")
    changes = given.get("body", {})
    if not isinstance(changes, dict):
        raise ValueError(f"body: {changes!r} is no object")  # noqa: TRY004 - input
    return {"topic": topic, "subscribers": shop.webhooks.tell(str(topic), make(shop, given) | changes)}


def _product(shop: Shop, given: Given) -> Given:
    return product_body(shop.store, _number(given, "product", "Product"))


def _deleted(_shop: Shop, given: Given) -> Given:
    return {"id": _number(given, "product", "Product")}


def _finished(shop: Shop, given: Given) -> Given:
    number = _number(given, "operation", "BulkOperation")
    row = shop.bulk.find(number)
    if row is None:
        raise LookupError(f"there is no bulk operation {number}")
    return bulk_body(row)


def _scopes(shop: Shop, given: Given) -> Given:
    granted = list(shop.access.app.scopes)
    previous, current = given.get("previous", granted), given.get("current", granted)
    for name, scopes in (("previous", previous), ("current", current)):
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise ValueError(f"{name}: {scopes!r} is no list of scopes")
    return scopes_body(previous, current)


def _compliance(topic: str) -> Callable[[Shop, Given], Given]:
    return lambda shop, _given: compliance_body(shop.config, topic)


def _number(given: Given, name: str, type_name: str) -> int:
    value = given.get(name)
    parsed = parse_gid(value) if isinstance(value, str) else None
    if parsed is not None and parsed.type_name == type_name:
        return parsed.number
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError(f"{name}: {value!r} is no number and no global id of a {type_name}")


_BODIES: Final[dict[str, Callable[[Shop, Given], Given]]] = {
    "products/create": _product,
    "products/update": _product,
    "products/delete": _deleted,
    "bulk_operations/finish": _finished,
    "app/uninstalled": lambda shop, _given: shop_body(shop.config, shop.store.currency),
    "app/scopes_update": _scopes,
    **{topic: _compliance(topic) for topic in COMPLIANCE},
}
