"""The routes under `/sandbox/` for the app and its tokens, and for the sandbox's time."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route

from calibr_sandbox.access import Access
from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.control_http import BadInputError, guarded, json_object
from calibr_sandbox.grants import Grant
from calibr_sandbox.session_token import Audience, make_session_token
from calibr_sandbox.webhooks import Webhooks

_FLAGS: Final = {"permitted": "is_permitted", "consents": "consents"}


class AppControl:
    """The handlers, on one shop."""

    def __init__(self, config: SandboxConfig, access: Access, clock: SandboxClock, webhooks: Webhooks) -> None:
        """Work on this app and this clock, and tell of what happens to the app."""
        self._webhooks = webhooks
        self._config = config
        self._access = access
        self._clock = clock

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            _route("/sandbox/app", self.show, "GET"),
            _route("/sandbox/app", self.change, "POST"),
            _route("/sandbox/app/secret", self.rotate_secret, "POST"),
            _route("/sandbox/app/session-token", self.session_token, "POST"),
            _route("/sandbox/tokens", self.tokens, "GET"),
            _route("/sandbox/tokens/revoke", self.revoke, "POST"),
            _route("/sandbox/clock", self.time, "GET"),
            _route("/sandbox/clock", self.advance, "POST"),
        ]

    async def show(self, _request: Request) -> object:
        """Tell the state of the app."""
        app = self._access.app
        return {
            "client_id": app.client_id,
            "installed": app.state.is_installed,
            "permitted": app.state.is_permitted,
            "consents": app.state.consents,
            "scopes": list(app.scopes),
        }

    async def change(self, request: Request) -> object:
        """Install or uninstall the app, change its scopes, or what the shop lets it do."""
        body = await json_object(request)
        unknown = set(body) - {"installed", "scopes", *_FLAGS}
        if unknown:
            raise BadInputError(f"{min(unknown)}: is unknown; known are installed, scopes, {', '.join(_FLAGS)}")
        for name in ("installed", *_FLAGS):
            if name in body and not isinstance(body[name], bool):
                raise BadInputError(f"{name}: {body[name]!r} is neither true nor false")
        before = self._access.app.scopes
        if "scopes" in body:
            self._access.app.set_scopes(body["scopes"])
        if set(self._access.app.scopes) != set(before):
            self._webhooks.scopes_changed(before, self._access.app.scopes)
        self._access.app.set_flags(**{field: body[name] for name, field in _FLAGS.items() if name in body})
        if body.get("installed") is True:
            self._access.app.install()
        elif body.get("installed") is False:
            was_there = self._access.app.state.is_installed
            self._access.uninstall()
            if was_there:
                self._webhooks.app_uninstalled()
        return await self.show(request)

    async def rotate_secret(self, request: Request) -> object:
        """Put a new client secret into force; webhooks are signed with the old one for another hour."""
        self._access.app.rotate_secret((await json_object(request)).get("client_secret"))
        return await self.show(request)

    async def session_token(self, request: Request) -> object:
        """Sign a session token, as the admin does for an embedded app."""
        user = (await json_object(request)).get("user", 1)
        if not isinstance(user, int) or isinstance(user, bool) or user < 1:
            raise BadInputError(f"user: {user!r} is no number of a user")
        app = self._access.app
        audience = Audience(app.client_id, app.secret, self._config.shop_domain)
        return {"session_token": make_session_token(audience, user, self._clock.now())}

    async def tokens(self, _request: Request) -> object:
        """List the granted tokens that are in force."""
        return {"tokens": [_token(grant) for grant in self._access.grants.list_alive()]}

    async def revoke(self, request: Request) -> object:
        """End a token, also one that the server was started with."""
        token = (await json_object(request)).get("access_token")
        if not isinstance(token, str) or self._access.caller(token) is None:
            raise LookupError("access_token: no such token is in force")
        self._access.grants.revoke(token)
        return {"revoked": True}

    async def time(self, _request: Request) -> object:
        """Tell the sandbox's time, and how fast it runs."""
        return {"now": self._clock.now(), "factor": self._clock.factor}

    async def advance(self, request: Request) -> object:
        """Let time pass at once."""
        seconds = (await json_object(request)).get("advance_s")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise BadInputError(f"advance_s: {seconds!r} is no number of seconds")
        self._clock.advance(seconds)
        return await self.time(request)


def _route(path: str, handler: Callable[[Request], Awaitable[object]], method: str) -> Route:
    return Route(path, guarded(handler), methods=[method])


def _token(grant: Grant) -> dict[str, Any]:
    return {
        "access_token": grant.access_token,
        "kind": grant.kind,
        "issued_at": grant.issued_at,
        "expires_at": grant.expires_at,
        "refresh_token": grant.refresh_token,
    }
