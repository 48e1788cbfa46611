"""The one REST resource that clients still ask for when they sign in: `GET /admin/api/{version}/shop.json`."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calibr_sandbox.access import BAD_TOKEN, Access
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.fields import SHOP_CREATED_AT, SHOP_ID
from calibr_sandbox.store import Store
from calibr_sandbox.versions import served_version


class Rest:
    """The handler, on one shop."""

    def __init__(self, config: SandboxConfig, store: Store, access: Access) -> None:
        """Serve this shop."""
        self._config = config
        self._store = store
        self._access = access

    def routes(self) -> list[Route]:
        """List the routes."""
        return [Route("/admin/api/{version}/shop.json", self.shop, methods=["GET"])]

    async def shop(self, request: Request) -> Response:
        """Describe the shop."""
        if self._access.caller(request.headers.get("x-shopify-access-token", "")) is None:
            return _json({"errors": BAD_TOKEN}, 401, {})
        version = served_version(request.path_params["version"], self._config.oldest_version)
        if version is None:
            return _json({"errors": "Not Found"}, 404, {})
        config = self._config
        described = {
            "id": SHOP_ID,
            "name": config.shop_name,
            "domain": config.shop_domain,
            "myshopify_domain": config.shop_domain,
            "currency": self._store.currency,
            "created_at": SHOP_CREATED_AT,
            "iana_timezone": "Etc/UTC",
            "plan_name": config.plan,
        }
        return _json({"shop": described}, 200, {"X-Shopify-API-Version": version})


def _json(body: object, status: int, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json; charset=utf-8")
