"""`stagedUploadsCreate`: which uploads are refused, and what a target tells the client to send."""

import secrets
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from calibr_sandbox.context import Info
from calibr_sandbox.fields import SHOP_ID
from calibr_sandbox.staged_uploads import PUT_SECONDS, NewTarget, Staged, form_fields

Entry = dict[str, Any]

_FOLDERS: Final = {
    "BULK_MUTATION_VARIABLES": "bulk",
    "COLLECTION_IMAGE": "collections",
    "DISPUTE_FILE_UPLOAD": "dispute_file_uploads",
    "FILE": "files",
    "IMAGE": "products",
    "PRODUCT_IMAGE": "products",
    "RETURN_LABEL": "return_labels",
    "SHOP_IMAGE": "shop_images",
    "URL_REDIRECT_IMPORT": "url_redirect_imports",
}
_SIZED: Final = {"VIDEO": "video", "MODEL_3D": "3D model"}
_IMAGES: Final = frozenset({"COLLECTION_IMAGE", "IMAGE", "PRODUCT_IMAGE", "SHOP_IMAGE"})
_IMAGE_TYPES: Final = frozenset(
    {"image/gif", "image/heic", "image/jpeg", "image/jpg", "image/png", "image/svg+xml", "image/webp"}
)
_NO_TARGET: Final[Entry] = {"url": None, "resourceUrl": None, "parameters": []}


def resolve_staged_uploads_create(_root: object, info: Info, input: list[Entry]) -> Entry:  # noqa: A002
    """Give out a target for each good entry, and an empty one with an error for each bad one."""
    errors = [error for place, entry in enumerate(input) for error in _errors_of(str(place), entry)]
    bad = {error["field"][1] for error in errors}
    targets = [_NO_TARGET if str(place) in bad else _target(info, entry) for place, entry in enumerate(input)]
    return {"stagedTargets": targets, "userErrors": errors}


def _errors_of(place: str, entry: Entry) -> Iterator[Entry]:
    resource, name, mime_type = entry["resource"], entry["filename"], entry["mimeType"]
    if resource in _SIZED and entry.get("fileSize") is None:
        message = f"file size is required for {_SIZED[resource]} resources"
        yield {"field": ["input", place, "fileSize"], "message": message}
    if resource in _IMAGES and mime_type not in _IMAGE_TYPES:
        message = f"{name}: ({mime_type}) is not a recognized format"
        yield {"field": ["input", place, "mimeType"], "message": message}


def _target(info: Info, entry: Entry) -> Entry:
    base = f"{info.context.shop.base_url}/sandbox/staged/"
    if entry["resource"] in _SIZED:
        return _media_target(base, entry)
    method = entry.get("httpMethod") or "PUT"
    is_bulk = entry["resource"] == "BULK_MUTATION_VARIABLES"
    folder = _FOLDERS[entry["resource"]] if is_bulk or method == "POST" else "files"
    wanted = NewTarget(folder, entry["filename"].replace("/", "_"), entry["mimeType"], method)
    staged = info.context.staged.create(SHOP_ID, wanted)
    if method == "POST":
        fields = [{"name": name, "value": value} for name, value in form_fields(staged)]
        return {"url": base, "resourceUrl": base if is_bulk else base + staged.key, "parameters": fields}
    signed = f"{base}{staged.key}?{_signature(staged)}"
    fields = [{"name": "content_type", "value": staged.mime_type}, {"name": "acl", "value": "private"}]
    return {"url": signed, "resourceUrl": signed if is_bulk else base + staged.key, "parameters": fields}


def _signature(staged: Staged) -> str:
    parts = {
        "X-Goog-Algorithm": "GOOG4-RSA-SHA256",
        "X-Goog-Expires": PUT_SECONDS,
        "X-Goog-SignedHeaders": "host",
        "X-Goog-Signature": staged.secret,
    }
    return urlencode(parts)


def _media_target(base: str, entry: Entry) -> Entry:
    """Videos and models go to storages of their own, which the sandbox names but does not have: they are no price."""
    folder = "models" if entry["resource"] == "MODEL_3D" else "videos"
    key = f"{folder}/{secrets.token_hex(8)}/{entry['filename']}"
    url = f"{base}{key}?external_id={secrets.token_hex(8)}"
    fields = {
        "GoogleAccessId": "threed-model-service-prod@threed-model-service.iam.gserviceaccount.com",
        "key": key,
        "policy": secrets.token_hex(32),
        "signature": secrets.token_hex(32),
    }
    return {"url": url, "resourceUrl": url, "parameters": [{"name": k, "value": v} for k, v in fields.items()]}
