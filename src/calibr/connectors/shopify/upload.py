"""Puts a file where the store fetches it from: asks for a place, then posts the file there."""

from collections.abc import Mapping
from typing import Any, Final

from calibr.connectors.shopify.answers import readable
from calibr.connectors.shopify.client import ShopifyClient
from calibr.connectors.shopify.documents import STAGE_UPLOAD
from calibr.connectors.shopify.download import require_address
from calibr.connectors.shopify.errors import PROTOCOL, UNAVAILABLE, CallError
from calibr.connectors.shopify.shapes import as_list, as_object, as_text

MOST_BYTES: Final = 100 * 1024 * 1024
_KEY: Final = "key"
_SERVER_ERRORS: Final = 500


def stage(client: ShopifyClient, name: str, content: bytes, until: float) -> str:
    """Upload a file of variables and return the path that a bulk mutation names it by. Raises `CallError`.

    Nothing is written by it: a file that no operation names is forgotten by the store.
    """
    if len(content) > MOST_BYTES:
        raise CallError(PROTOCOL, f"The file has {len(content)} bytes; Shopify takes {MOST_BYTES}.")
    # PUT is what Shopify offers when nothing is said, and the path of a PUT is not what a bulk mutation wants.
    wanted = {
        "resource": "BULK_MUTATION_VARIABLES", "filename": name, "mimeType": "text/jsonl", "httpMethod": "POST",
    }  # fmt: skip
    data = client.insist(STAGE_UPLOAD, {"input": [wanted]}, rows=0, until=until)
    payload = as_object(data.get("stagedUploadsCreate"), "stagedUploadsCreate")
    errors = as_list(payload.get("userErrors"), "userErrors")
    if errors:
        said = readable(as_object(errors[0], "userErrors entry").get("message"))
        raise CallError(PROTOCOL, f"Shopify offers no place for the file: {said}")
    targets = as_list(payload.get("stagedTargets"), "stagedTargets")
    target = as_object(targets[0] if targets else None, "stagedTargets entry")
    url = as_text(target.get("url"), "stagedTargets.url")
    require_address(client, url)
    fields = _fields(target)
    status = client.upload(url, fields, name, content, until)
    if status not in range(200, 300):
        may_pass = status >= _SERVER_ERRORS or status in {408, 429}
        raise CallError(UNAVAILABLE, f"The file was not taken (HTTP {status}).", retryable=may_pass)
    return fields[_KEY]


def _fields(target: Mapping[str, Any]) -> dict[str, str]:
    """The form fields, in the order given: the signature is over them, and the file must come last."""
    fields: dict[str, str] = {}
    for item in as_list(target.get("parameters"), "stagedTargets.parameters"):
        pair = as_object(item, "stagedTargets.parameters entry")
        fields[as_text(pair.get("name"), "parameter name")] = as_text(pair.get("value"), "parameter value")
    if _KEY not in fields:
        raise CallError(PROTOCOL, "The place for the file has no key.", maybe_executed=False)
    return fields
