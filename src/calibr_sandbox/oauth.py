"""The OAuth grants under `/admin/oauth/`: access tokens, authorization by the merchant, granted scopes.

Grant types: client credentials, authorization code, refresh token, token exchange. Answers and errors are JSON but
for the consent page, which is text: its reader is a person.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from calibr_sandbox.access import BAD_TOKEN, Access
from calibr_sandbox.clock import SandboxClock
from calibr_sandbox.config import SandboxConfig
from calibr_sandbox.faults import Faults
from calibr_sandbox.grants import DAY_S, Grant, Kind, RefusedGrantError
from calibr_sandbox.oauth_faults import OPERATION, answer_with
from calibr_sandbox.scopes import as_listed, parse_scopes
from calibr_sandbox.session_token import Audience, BadSessionTokenError, read_session_token

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant type
_ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
_ONLINE: Final = "urn:shopify:params:oauth:token-type:online-access-token"
_REQUESTED: Final = {
    "urn:shopify:params:oauth:token-type:offline-access-token": Kind.OFFLINE,
    _ONLINE: Kind.ONLINE,
}
_MAX_BODY: Final = 20_000
_OWNER: Final = {
    "id": 1,
    "first_name": "Sandbox",
    "last_name": "Owner",
    "email": "owner@example.com",
    "account_owner": True,
    "locale": "en",
    "collaborator": False,
    "email_verified": True,
}


class OAuthError(Exception):
    """A refusal, in the words of OAuth."""

    def __init__(self, code: str, description: str) -> None:
        """Give the code and the sentence."""
        super().__init__(code, description)
        self.code = code
        self.description = description


class OAuth:
    """The handlers, on one shop and its one app."""

    def __init__(self, config: SandboxConfig, access: Access, clock: SandboxClock, faults: Faults) -> None:
        """Serve the grants of this app."""
        self._faults = faults
        self._config = config
        self._app = access.app
        self._grants = access.grants
        self._access = access
        self._clock = clock

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/admin/oauth/access_token", self.access_token, methods=["POST"]),
            Route("/admin/oauth/authorize", self.authorize, methods=["GET"]),
            Route("/admin/oauth/access_scopes.json", self.access_scopes, methods=["GET"]),
        ]

    async def access_token(self, request: Request) -> Response:
        """Give out a token for whatever the caller has to show."""
        content_type, body = request.headers.get("content-type", ""), await request.body()
        return await answer_with(self._faults.pick_named(OPERATION), lambda: self._answered(content_type, body))

    async def access_scopes(self, request: Request) -> Response:
        """List the scopes of a token."""
        caller = self._access.caller(request.headers.get("x-shopify-access-token", ""))
        if caller is None:
            return _json({"errors": BAD_TOKEN}, 401)
        return _json({"access_scopes": [{"handle": name} for name in as_listed(caller.scopes)]})

    async def authorize(self, request: Request) -> Response:
        """Ask the merchant, who says at once what the sandbox was told, and send the browser back to the app."""
        asked = request.query_params
        try:
            redirect = self._redirect_url(asked.get("redirect_uri", ""))
            self._check_client_id(asked.get("client_id", ""))
            scopes = parse_scopes(asked.get("scope", ""))
        except OAuthError as error:
            return PlainTextResponse(f"Oauth error {error.code}: {error.description}", 400)
        except ValueError as error:
            return PlainTextResponse(f"Oauth error invalid_scope: {error}", 400)
        state = {"state": asked["state"]} if "state" in asked else {}
        if not self._app.state.consents:
            refusal = {"error": "access_denied", "error_description": "The merchant did not approve the app"}
            return RedirectResponse(_with_query(redirect, {**refusal, **state}), 302)
        self._app.install(as_listed(scopes) if scopes else None)
        online = "per-user" in asked.getlist("grant_options[]")
        code = self._grants.new_code(Kind.ONLINE if online else Kind.OFFLINE)
        # Clients sign what they find in the query, the app's own parameters too.
        own = dict(parse_qsl(urlsplit(redirect).query, keep_blank_values=True))
        told = self._told({"code": code, **state})
        signature = sign_query({**own, **told}, self._app.secret)
        return RedirectResponse(_with_query(redirect, {**told, "hmac": signature}), 302)

    def _answered(self, content_type: str, body: bytes) -> Response:
        try:
            fields = _fields(content_type, body)
            self._check_client(fields)
            return _json(self._granted(fields))
        except OAuthError as error:
            return _json({"error": error.code, "error_description": error.description}, 400)

    def _granted(self, fields: Mapping[str, str]) -> dict[str, object]:
        grant_type = fields.get("grant_type") or ("authorization_code" if "code" in fields else "")
        if grant_type == "client_credentials":
            return self._by_credentials()
        if grant_type == "authorization_code":
            return self._by_code(fields)
        if grant_type == "refresh_token":
            return self._by_refresh(fields)
        if grant_type == TOKEN_EXCHANGE:
            return self._by_exchange(fields)
        raise OAuthError("unsupported_grant_type", f"The grant type {grant_type!r} is not supported")

    def _by_credentials(self) -> dict[str, object]:
        if not self._app.state.is_permitted:
            raise OAuthError("shop_not_permitted", "Client credentials cannot be performed on this shop.")
        if not self._app.state.is_installed:
            raise OAuthError("app_not_installed", "The application is not installed on this shop.")
        return self._answer(self._grants.issue(Kind.CLIENT_CREDENTIALS))

    def _by_code(self, fields: Mapping[str, str]) -> dict[str, object]:
        try:
            kind = self._grants.redeem(fields.get("code", ""))
        except RefusedGrantError as error:
            raise OAuthError("invalid_request", str(error)) from error
        return self._issued(kind, fields)

    def _by_refresh(self, fields: Mapping[str, str]) -> dict[str, object]:
        try:
            return self._answer(self._grants.refresh(fields.get("refresh_token", "")))
        except RefusedGrantError as error:
            raise OAuthError("invalid_grant", str(error)) from error

    def _by_exchange(self, fields: Mapping[str, str]) -> dict[str, object]:
        kind = _REQUESTED.get(
            fields.get("requested_token_type", "urn:shopify:params:oauth:token-type:online-access-token")
        )
        if kind is None or fields.get("subject_token_type") != _ID_TOKEN:
            raise OAuthError("invalid_request", "The token types are not supported")
        audience = Audience(self._app.client_id, self._app.secret, self._config.shop_domain)
        try:
            read_session_token(fields.get("subject_token", ""), audience, self._clock.now())
        except BadSessionTokenError as error:
            raise OAuthError("invalid_subject_token", f"The session token is not valid: {error}") from error
        if not self._app.state.is_installed:
            self._app.install()
        return self._issued(kind, fields)

    def _issued(self, kind: Kind, fields: Mapping[str, str]) -> dict[str, object]:
        """Give out a token; an offline one expires if the caller wants that."""
        if kind is Kind.OFFLINE and fields.get("expiring") in {"1", "true"}:
            return self._answer(self._grants.issue(Kind.EXPIRING))
        return self._answer(self._grants.offline() if kind is Kind.OFFLINE else self._grants.issue(kind))

    def _answer(self, grant: Grant) -> dict[str, object]:
        now, scope = self._clock.now(), ",".join(as_listed(self._app.scopes))
        answer: dict[str, object] = {"access_token": grant.access_token, "scope": scope}
        if grant.expires_at is not None:
            answer["expires_in"] = round(grant.expires_at - now)
        if grant.refresh_token is not None and grant.refresh_expires_at is not None:
            answer["refresh_token"] = grant.refresh_token
            answer["refresh_token_expires_in"] = round(grant.refresh_expires_at - now)
        if grant.kind == Kind.ONLINE:
            answer |= {"expires_in": DAY_S, "associated_user_scope": scope, "associated_user": _OWNER}
        return answer

    def _check_client(self, fields: Mapping[str, str]) -> None:
        self._check_client_id(fields.get("client_id", ""))
        if not hmac.compare_digest(fields.get("client_secret", "").encode(), self._app.secret.encode()):
            raise OAuthError("invalid_client", "The client secret is wrong")

    def _check_client_id(self, client_id: str) -> None:
        if client_id != self._app.client_id:
            raise OAuthError("invalid_request", f"Could not find Shopify API application with api_key {client_id}")

    def _redirect_url(self, url: str) -> str:
        allowed = self._config.redirect_urls
        try:
            is_web = urlsplit(url).scheme in {"http", "https"} and bool(urlsplit(url).hostname)
        except ValueError:
            is_web = False
        if not is_web or (allowed and url not in allowed):
            raise OAuthError("invalid_request", "The redirect_uri is not whitelisted")
        return url

    def _told(self, parameters: dict[str, str]) -> dict[str, str]:
        shop = self._config.shop_domain
        host = f"admin.shopify.com/store/{shop.removesuffix('.myshopify.com')}"
        return {
            **parameters,
            "host": base64.b64encode(host.encode()).decode().rstrip("="),
            "shop": shop,
            "timestamp": str(int(self._clock.now())),
        }


def sign_query(parameters: Mapping[str, str], secret: str) -> str:
    """The `hmac` of a redirect: over the sorted parameters, with what parts them escaped inside of them."""
    pairs = (f"{_escape(name).replace('=', '%3D')}={_escape(value)}" for name, value in parameters.items())
    return hmac.new(secret.encode(), "&".join(sorted(pairs)).encode(), hashlib.sha256).hexdigest()


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26")


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return parts._replace(query=query).geturl()


def _fields(content_type: str, body: bytes) -> dict[str, str]:
    """Read the parameters of a token request, which come as JSON or as a form."""
    if len(body) > _MAX_BODY:
        raise OAuthError("invalid_request", f"The body has {len(body)} bytes; at most {_MAX_BODY} are taken")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        except (UnicodeDecodeError, ValueError) as error:
            raise OAuthError("invalid_request", "The body is no form") from error
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise OAuthError("invalid_request", "The body is no JSON") from error
    if not isinstance(parsed, dict):
        raise OAuthError("invalid_request", "The body is no JSON object")
    return {name: _text(value) for name, value in parsed.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else str(value)


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, "application/json; charset=utf-8")
