"""Answers for one shop only: another shop's name is not found here, as at Shopify's."""

import orjson
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_SUFFIX = ".myshopify.com"


class OnlyThisShop:
    """Middleware. Calls by address, without a shop's name, come through."""

    def __init__(self, app: ASGIApp, shop_domain: str) -> None:
        """Let this shop's calls through."""
        self._app = app
        self._domain = shop_domain.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 to calls for another shop."""
        host = Headers(scope=scope).get("host", "").partition(":")[0].lower() if scope["type"] == "http" else ""
        if host.endswith(_SUFFIX) and host != self._domain:
            body = orjson.dumps({"errors": "Not Found"})
            await Response(body, 404, media_type="application/json; charset=utf-8")(scope, receive, send)
        else:
            await self._app(scope, receive, send)
