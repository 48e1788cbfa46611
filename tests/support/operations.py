"""All operations of the API, read from its OpenAPI document, and requests made from them."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

SIGNED = {"finish_authorization", "receive_webhook"}
"""Public, and answered only to what others have signed: without that nothing but a refusal comes of them."""
PUBLIC = {"get_liveness", "get_readiness", "get_metrics", "get_openapi"} | SIGNED
ANY_TOKEN = {"get_me"}
PLAIN_PARAMETERS = {"field": "tags", "subject": "selector", "version": "1.0.0", "address": "0" * 66}
"""Path parameters that are not ids of things of a tenant."""


@dataclass(frozen=True)
class Operation:
    """One operation as the document describes it."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.described["operationId"])

    @property
    def scope(self) -> str | None:
        return self.described.get("x-calibr-scope")

    @property
    def id_parameters(self) -> list[str]:
        """Names of the path parameters that identify things of a tenant."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name not in PLAIN_PARAMETERS]

    def request(
        self, client: httpx2.Client, ids: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> httpx2.Response:
        """Send it; ids that are not given are random ones."""
        filled = re.sub(r"{(\w+)}", lambda m: self._value(m[1], ids or {}), self.path)
        headers = {"If-Match": '"1"'} if self.method == "PATCH" else {}
        query = {"follow": "false"} if self.path.endswith("/stream") else {}  # else it would never end
        return client.request(self.method, filled, json=body, headers=headers, params=query)

    @staticmethod
    def _value(name: str, ids: dict[str, str]) -> str:
        return ids.get(name) or PLAIN_PARAMETERS.get(name) or str(uuid4())


def operations(document: dict[str, Any]) -> list[Operation]:
    """All of them, in the order of the document."""
    return [
        Operation(method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def without_ids(text: str) -> str:
    """The text with every id replaced, to compare two answers about different things."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
