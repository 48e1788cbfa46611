"""Sends files to staged targets as a client does, and puts those in place that a recording presupposes."""

import http.client
import secrets
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

from names import Names, key_in
from plan import Send
from recording import Json, Upload

from calibr_sandbox.testing import StartedSandbox

_LINE = b"{}\n"
_NEEDS_A_FILE = frozenset({"OPERATION_IN_PROGRESS", "INVALID_STAGED_UPLOAD_FILE"})


class Uploads:
    """The staged targets of one sandbox."""

    def __init__(self, sandbox: StartedSandbox, names: Names) -> None:
        self._sandbox = sandbox
        self._names = names
        self._open: list[Json] = []
        self._sent: set[str] = set()

    def remember(self, answer: Json) -> None:
        """Keep the targets of an answer for the uploads that follow."""
        payload = (answer.get("data") or {}).get("stagedUploadsCreate") or {}
        targets = payload.get("stagedTargets") or []
        if targets:
            self._open = [target for target in targets if target.get("url")]

    def send(self, upload: Upload) -> list[str]:
        """Send a file to the next open target; return how the answer differs."""
        if not self._open:
            return ["there is no staged target"]
        target = self._open.pop(0)
        content = upload.text.encode() if upload.text is not None else _filler(upload.size)
        fields = {parameter["name"]: parameter["value"] for parameter in target["parameters"]}
        key = fields.get("key")
        status = self._post(target["url"], fields, content) if key else self._put(target["url"], fields, content)
        self._sent.add(str(key or key_in(target["url"])))
        return [] if status == upload.status else [f"status: {upload.status}, here {status}"]

    def presuppose(self, action: Send) -> None:
        """Put a file where a recorded run must have found one."""
        for root, payload in (action.step.body.get("data") or {}).items():
            if root == "bulkOperationRunMutation" and _found_a_file(payload or {}):
                for path in _paths(self._names.rewrite(action.variables)):
                    if path not in self._sent:
                        self._sandbox.shop.staged.put(path, _LINE)
                        self._sent.add(path)

    def _put(self, url: str, fields: dict[str, str], content: bytes) -> int:
        return self._request("PUT", url, content, {"Content-Type": fields.get("content_type", "text/jsonl")})

    def _post(self, url: str, fields: dict[str, str], content: bytes) -> int:
        boundary = secrets.token_hex(16)
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        disposition = 'Content-Disposition: form-data; name="file"; filename="file.jsonl"'
        body = f"{head}--{boundary}\r\n{disposition}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self._request("POST", url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def _request(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> int:
        parts = urlsplit(url)
        with closing(http.client.HTTPConnection(parts.netloc, timeout=60)) as connection:
            connection.request(method, f"{parts.path}?{parts.query}", body, headers)
            response = connection.getresponse()
            response.read()
            return response.status


def _found_a_file(payload: Json) -> bool:
    codes = {error.get("code") for error in payload.get("userErrors") or []}
    return payload.get("bulkOperation") is not None or bool(codes & _NEEDS_A_FILE)


def _paths(variables: Json) -> Iterator[str]:
    return (value for value in variables.values() if isinstance(value, str) and value.startswith("tmp/"))


def _filler(size: int | None) -> bytes:
    """A file of so many bytes; one line where no size was recorded."""
    return _LINE if size is None else (_LINE * (size // len(_LINE) + 1))[:size]
