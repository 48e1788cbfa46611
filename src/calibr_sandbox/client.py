"""A small client on one kept connection, for tests and benchmarks. It neither retries nor waits."""

import http.client
from dataclasses import dataclass
from typing import Any, Self

import orjson

from calibr_sandbox.config import API_VERSION, DEFAULT_TOKEN


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers by lower-case name, the parsed body."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def data(self) -> dict[str, Any]:
        """The `data` of an answer without errors. Raises ValueError with the errors otherwise."""
        if self.status != http.client.OK or "errors" in self.body:
            raise ValueError(f"{self.status}: {self.body}")
        found: dict[str, Any] = self.body["data"]
        return found

    @property
    def cost(self) -> dict[str, Any]:
        """The `extensions.cost` of an answer."""
        found: dict[str, Any] = self.body["extensions"]["cost"]
        return found


class SandboxClient:
    """Speaks to one sandbox. Connection failures come through as the OSError or HTTPException they are."""

    def __init__(self, url: str, token: str = DEFAULT_TOKEN, *, timeout_s: float = 30) -> None:
        """Connect lazily to a sandbox's URL."""
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout_s)
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def graphql(self, query: str, variables: dict[str, Any] | None = None, version: str = API_VERSION) -> Answer:
        """Send one GraphQL call."""
        body = {"query": query, "variables": variables or {}}
        return self.request("POST", f"/admin/api/{version}/graphql.json", body)

    def request(self, method: str, path: str, body: object = None) -> Answer:
        """Send one request; a JSON answer is parsed, any other is returned as bytes."""
        content = b"" if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json", "X-Shopify-Access-Token": self._token}
        self._connection.request(method, path, content, headers)
        response = self._connection.getresponse()
        received = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = found.get("content-type", "").partition(";")[0] == "application/json"
        return Answer(response.status, found, orjson.loads(received) if is_json else received)
