"""The routes under `/sandbox/` by which a merchant says more of products, or deletes them."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route

from calibr_sandbox.control_http import BadInputError, guarded, json_object
from calibr_sandbox.facts import NewMetafield, delete_product, put_collection, put_metafields
from calibr_sandbox.hand_edits import whole_number
from calibr_sandbox.ids import parse_gid
from calibr_sandbox.store import Store

_COLLECTION: Final = 'send {"handle": ..., "title": ..., "products": [ids], "tag": ...}, with products, a tag or both'
_METAFIELD: Final = 'send {"product": id, "namespace": ..., "key": ..., "type": ..., "value": text or null}'


class FactsControl:
    """The handlers, on one shop."""

    def __init__(self, store: Store) -> None:
        """Serve the shop of this file."""
        self._store = store

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/sandbox/collections", guarded(self.put_collection), methods=["POST"]),
            Route("/sandbox/metafields", guarded(self.put_metafield), methods=["POST"]),
            Route("/sandbox/products/{id:path}", guarded(self.delete_product), methods=["DELETE"]),
        ]

    async def put_collection(self, request: Request) -> object:
        """Make or replace a collection."""
        body = await json_object(request)
        handle, title, tag = _text(body, "handle", _COLLECTION), _text(body, "title", _COLLECTION), body.get("tag")
        listed = body.get("products", [])
        if not isinstance(listed, list) or not (tag is None or isinstance(tag, str)):
            raise BadInputError(_COLLECTION)
        numbers = [_number(str(each), "Product") for each in listed]
        held = await run_in_threadpool(put_collection, self._store, handle, title, products=numbers, tag=tag)
        return {"handle": handle, "products": held}

    async def put_metafield(self, request: Request) -> object:
        """Set a metafield of a product; null removes it. Those of variants are written over the API."""
        body = await json_object(request)
        number, value = _number(str(body.get("product")), "Product"), body.get("value")
        if not (value is None or isinstance(value, str)):
            raise BadInputError(f"value: {value!r} is no text; {_METAFIELD}")
        namespace, key, kind = (_text(body, name, _METAFIELD) for name in ("namespace", "key", "type"))
        put_metafields(self._store, {number: NewMetafield(namespace, key, kind, value)})
        return body

    async def delete_product(self, request: Request) -> object:
        """Delete a product with its variants."""
        gone = delete_product(self._store, _number(request.path_params["id"], "Product"))
        return {"deleted_variants": gone}


def _text(body: Mapping[str, Any], name: str, usage: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadInputError(f"{name}: {value!r} is no text; {usage}")
    return value


def _number(text: str, type_name: str) -> int:
    parsed = parse_gid(text)
    number = whole_number(text) if parsed is None else parsed.number
    if number is None or (parsed is not None and parsed.type_name != type_name):
        raise LookupError(f"there is no {type_name} {text!r}")
    return number
