"""What the routes under `/sandbox/` share: JSON in, JSON out, a sentence for bad input."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


class BadInputError(ValueError):
    """The caller sent something that cannot be done."""


def guarded(handler: Callable[[Request], Awaitable[object]]) -> Handler:
    """Answer in JSON; 404 for what does not exist, 400 with a sentence for bad input."""

    async def answer(request: Request) -> Response:
        try:
            return _json(await handler(request))
        except LookupError as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return answer


async def json_object(request: Request) -> dict[str, Any]:
    """Read the body, which must be a JSON object."""
    parsed = orjson.loads(await request.body() or b"null")
    if not isinstance(parsed, dict):
        raise BadInputError("the body must be a JSON object")
    return parsed


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
