"""The storage that staged files are sent to: a form by POST as its policy demands, or the bytes by PUT."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from calibr_sandbox.staged_form import BadFormError, FormReader, FormTooLargeError
from calibr_sandbox.staged_uploads import BUCKET, MAX_UPLOAD_BYTES, Staged, StagedUploads, form_fields

_MOST_BYTES: Final = 256 << 20
"""A PUT may be larger than a bulk mutation takes (its start refuses the file then), but not without bounds."""
_BOUNDARY: Final = re.compile(r'multipart/form-data;.*boundary="?([^";]{1,70})"?', re.IGNORECASE)
_READ: Final = 1 << 20


class StagedStorage:
    """The handlers, on one shop's staged files."""

    def __init__(self, staged: StagedUploads) -> None:
        """Serve these files."""
        self._staged = staged

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/sandbox/staged/", self.post, methods=["POST"]),
            Route("/sandbox/staged/{key:path}", self.put, methods=["PUT"]),
        ]

    async def post(self, request: Request) -> Response:
        """Take a form: all fields of the target before the file, each as it was given out."""
        boundary = _BOUNDARY.match(request.headers.get("content-type", ""))
        if boundary is None:
            return _refused(400, "InvalidArgument", "The body must be multipart/form-data.")
        path = self._staged.new_file()
        try:
            form = FormReader(boundary[1].encode(), request.stream())
            fields = dict(await form.fields())
            staged = self._staged.find(fields.get("key", ""))
            refused = _form_error(staged, fields, is_late=staged is not None and self._staged.has_expired(staged))
            if refused is not None or staged is None:
                return refused or _refused(403, "AccessDenied", "Access denied.")
            size = await form.receive(path, MAX_UPLOAD_BYTES)
            if size == 0:
                return _refused(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum object size.")
            digest = _digest(path)
            self._staged.keep(staged.key, path)
            return _created(staged.key, digest)
        except FormTooLargeError:
            return _refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
        except (BadFormError, ClientDisconnect) as error:
            return _refused(400, "MalformedPOSTRequest", str(error))
        finally:
            path.unlink(missing_ok=True)

    async def put(self, request: Request) -> Response:
        """Take the bytes of a file at its signed address."""
        staged = self._staged.find(request.path_params["key"])
        if staged is None or staged.method != "PUT":
            return _refused(403, "AccessDenied", "Access denied.")
        if request.query_params.get("X-Goog-Signature") != staged.secret:
            return _refused(403, "SignatureDoesNotMatch", "The request signature does not match.")
        if self._staged.has_expired(staged):
            return _refused(400, "ExpiredToken", "The provided token has expired.")
        path = self._staged.new_file()
        try:
            if not await _receive(request.stream(), path):
                return _refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")
            self._staged.keep(staged.key, path)
        except ClientDisconnect:
            return _refused(400, "IncompleteBody", "The body breaks off.")
        finally:
            path.unlink(missing_ok=True)
        return Response(status_code=200)


def _form_error(staged: Staged | None, fields: dict[str, str], *, is_late: bool) -> Response | None:
    """Compare the fields with the policy; None when they satisfy it."""
    if "key" not in fields:
        return _refused(400, "InvalidArgument", "Bucket POST must contain a field named 'key', before the file.")
    if staged is None or staged.method != "POST":
        return _refused(403, "AccessDenied", "Invalid according to Policy: there is no such key.")
    wanted = dict(form_fields(staged))
    for name, value in wanted.items():
        if fields.get(name) != value:
            return _refused(403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: {name}")
    unknown = [name for name in fields if name not in wanted]
    if unknown:
        return _refused(403, "AccessDenied", f"Invalid according to Policy: Extra input fields: {unknown[0]}")
    return _refused(403, "AccessDenied", "Invalid according to Policy: Policy expired.") if is_late else None


async def _receive(chunks: AsyncIterator[bytes], path: Path) -> bool:
    size = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size += file.write(chunk)
            if size > _MOST_BYTES:
                return False
    return True


def _digest(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while part := file.read(_READ):
            digest.update(part)
    return digest.hexdigest()


def _created(key: str, digest: str) -> Response:
    location = f"https://storage.googleapis.com/{BUCKET}/{key}"
    body = (
        f"<Location>{escape(location)}</Location><Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key>"
        f'<ETag>"{digest}"</ETag>'
    )
    return _xml(201, f"<PostResponse>{body}</PostResponse>")


def _refused(status: int, code: str, message: str) -> Response:
    return _xml(status, f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>")


def _xml(status: int, body: str) -> Response:
    return Response(f"<?xml version='1.0' encoding='UTF-8'?>{body}", status, media_type="application/xml")
