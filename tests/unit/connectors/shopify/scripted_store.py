"""A scripted store behind the connector's HTTP client: no socket, every request kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

TOKEN = "shpat_test_secret"
Reply = Callable[["SentCall"], httpx2.Response]


@dataclass(frozen=True)
class SentCall:
    operation: str
    variables: dict[str, Any]
    request: httpx2.Request


@dataclass
class ScriptedStore:
    """Answers each operation with the replies given for it, the last one again and again."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    calls: list[SentCall] = field(default_factory=list)

    def on(self, operation: str, *replies: Reply | dict[str, Any]) -> None:
        self.replies[operation] = [reply if callable(reply) else answers(reply) for reply in replies]

    def sent(self, operation: str) -> list[SentCall]:
        return [call for call in self.calls if call.operation == operation]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        is_call = request.method == "POST"
        body: dict[str, Any] = json.loads(request.content) if is_call else {"operationName": "GET", "variables": {}}
        call = SentCall(body["operationName"], body["variables"], request)
        self.calls.append(call)
        replies = self.replies[call.operation]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply(call)


def answers(data: dict[str, Any], *, requested: int = 10, available: int = 19_000) -> Reply:
    """Reply with data and a cost report."""

    def reply(_call: SentCall) -> httpx2.Response:
        return httpx2.Response(200, json={"data": data, "extensions": cost(requested, requested, available)})

    return reply


def fails(status: int, body: object = None, **headers: str) -> Reply:
    """Reply with an HTTP status."""
    return lambda _call: httpx2.Response(status, json=body, headers=headers)


def refuses(code: str, message: str = "no", data: object = None) -> Reply:
    """Reply with a top-level GraphQL error."""
    body: dict[str, Any] = {"errors": [{"message": message, "extensions": {"code": code}}]}
    if data is not None:
        body["data"] = data
    return lambda _call: httpx2.Response(200, json=body)


def breaks(error: type[httpx2.TransportError]) -> Reply:
    """Reply with a broken connection."""

    def reply(_call: SentCall) -> httpx2.Response:
        raise error("broken")

    return reply


def cost(requested: int, actual: int | None, available: int) -> dict[str, Any]:
    status = {"maximumAvailable": 20_000, "currentlyAvailable": available, "restoreRate": 1_000}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}
